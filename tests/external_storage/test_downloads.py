"""Downloads beyond core's address: by sha256, inline, by the web server, and as older names have them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import plugins
from ckan.tests import factories

from ckanext.external_storage import config, helpers
from ckanext.external_storage.interfaces import IResourceDownloadHandler
from tests.portal import Portal, editor_and_dataset, oid_of, path, standing


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def address(resource: dict[str, str], filename: str = "") -> str:
    return f"/dataset/{resource['package_id']}/resource/{resource['id']}/download{filename and '/'}{filename}"


def test_an_address_with_an_old_name_gives_the_file_of_now(portal, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data, "prices-2025.csv")
    oid = portal.push(editor, dataset, data + b"more")
    portal.action("resource_update", editor, **{**resource, "sha256": oid, "url": "prices-2026.csv"})
    for noted in (resource["url"], address(resource)):
        response = portal.get(noted)
        assert response.data == data + b"more"
        assert response.headers["Content-Disposition"] == 'attachment; filename="prices-2026.csv"'


class TestBySha256:
    def test_the_very_file_for_whom_it_is(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        old = f"/dataset/{dataset['name']}/file/{oid_of(data)}"
        response = portal.get(old)
        assert response.data == data
        assert response.headers["Content-Disposition"] == 'attachment; filename="data.csv"'
        oid = portal.push(editor, dataset, b"new")
        portal.action("resource_update", editor, **{**resource, "sha256": oid})
        # An older state of the dataset that everybody may see has it (versioning), under no name of now.
        response = portal.get(old)
        assert response.data == data
        assert response.headers["Content-Disposition"] == f'attachment; filename="{oid_of(data)}"'
        assert portal.get(address(resource)).data == b"new"

    def test_nobody_learns_what_is_private_or_elsewhere(self, portal, data):
        editor, dataset = editor_and_dataset(private=True)
        portal.publish(editor, dataset, data)
        _, other = editor_and_dataset()
        for name, oid in (
            (dataset["name"], oid_of(data)),
            (dataset["name"], "d" * 64),
            (other["name"], oid_of(data)),
            ("no-such-dataset", oid_of(data)),
            (other["name"], "x"),
        ):
            portal.get(f"/dataset/{name}/file/{oid}", factories.UserWithToken(), status=404)


@pytest.mark.parametrize(
    ("name", "preview", "kind", "disposition"),
    [
        ("a.pdf", "1", "application/pdf", "inline"),
        ("a.csv", "1", "text/plain", "inline"),
        ("a.pdf", "0", "application/pdf", "attachment"),
        ("a.html", "1", "text/html", "attachment"),
        ("a.svg", "1", "image/svg+xml", "attachment"),
    ],
)
def test_what_may_be_shown_is_shown_where_it_is_asked_for(portal, data, name, preview, kind, disposition):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data, name)
    response = portal.get(f"{address(resource)}?preview={preview}")
    assert response.headers["Content-Type"].split(";")[0] == kind
    assert response.headers["Content-Disposition"] == f'{disposition}; filename="{name}"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_page_of_the_site_has_a_pdf_within_it(portal, data):
    editor, dataset = editor_and_dataset()
    url = portal.publish(editor, dataset, data, "a.pdf")["url"]
    for site, disposition in (("same-origin", "inline"), ("cross-site", "attachment")):
        headers = {"Sec-Fetch-Dest": "object", "Sec-Fetch-Site": site}
        assert portal.get(url, headers=headers).headers["Content-Disposition"].startswith(disposition)


def test_types_that_browsers_run_are_refused_as_inline(portal, monkeypatch):
    monkeypatch.setitem(tk.config, "ckanext.external_storage.inline_types", ["image/png", "image/svg+xml"])
    with pytest.raises(Exception, match=r"inline_types has image/svg\+xml"):
        config.inline_types()


@pytest.mark.parametrize(
    ("how", "header", "begins"),
    [
        ("x-accel-redirect", "X-Accel-Redirect", "/external-storage-files/objects/"),
        ("x-sendfile", "X-Sendfile", "/"),
    ],
)
def test_the_web_server_can_send_the_file(portal, data, monkeypatch, how, header, begins):
    editor, dataset = editor_and_dataset()
    url = portal.publish(editor, dataset, data)["url"]
    monkeypatch.setitem(tk.config, "ckanext.external_storage.local.sendfile", how)
    response = portal.get(url)
    named = response.headers[header]
    assert named.startswith(begins)
    key = named[named.rindex("objects/") :]
    with config.store().open(key) as file:
        assert file.read() == data
    assert response.data == b""
    assert "Content-Length" not in response.headers or response.headers["Content-Length"] == "0"
    assert response.headers["Content-Disposition"] == 'attachment; filename="data.csv"'
    head = portal.client.head(path(url))
    assert head.headers["Content-Length"] == str(len(data))
    assert header not in head.headers


class Old(plugins.SingletonPlugin):
    """A handler as those written for the older plugin are: it takes fewer parameters."""

    plugins.implements(IResourceDownloadHandler, inherit=True)

    def pre_resource_download(self, resource, package):
        return {**resource, "counted": True}

    def resource_download(self, resource, package, filename=None):
        if not resource["name"]:
            return None
        return tk.h.redirect_to(f"https://mirror.example/{filename}?counted={resource['counted']}")


class New(plugins.SingletonPlugin):
    plugins.implements(IResourceDownloadHandler, inherit=True)

    def resource_download(self, resource, package, filename=None, inline=False, activity_id=None):
        return tk.h.redirect_to("https://inline.example/") if inline else None


@pytest.fixture
def handlers(provide_plugin, ckan_config):
    for name, plugin in (("old_handler", Old), ("new_handler", New)):
        provide_plugin(name, plugin)
        plugins.load(name)
    yield
    plugins.unload("old_handler", "new_handler")


def test_plugins_answer_in_place_of_us(portal, data, handlers):
    editor, dataset = editor_and_dataset(private=True)
    resource = portal.publish(editor, dataset, data)
    assert portal.get(address(resource), editor).data == data
    shown = portal.get(address(resource) + "?preview=1", editor, status=302, follow_redirects=False)
    assert shown.headers["Location"] == "https://inline.example/"
    portal.action("resource_patch", editor, id=resource["id"], name="Elsewhere")
    answer = portal.get(resource["url"], editor, status=302, follow_redirects=False)
    assert answer.headers["Location"] == "https://mirror.example/data.csv?counted=True"
    portal.get(resource["url"], status=404)  # they are asked after CKAN


class TestSpecification:
    def test_it_fetches_the_file_without_a_login(self, portal, data):
        editor, dataset = editor_and_dataset(private=True)
        resource = portal.publish(editor, dataset, data)
        spec = portal.action("get_resource_download_spec", editor, id=resource["id"])
        assert spec["expires_in"] == 60
        assert portal.client.get(path(spec["href"]), headers=spec["header"]).data == data
        # For this file only, and nobody else gets one.
        other = portal.push(editor, dataset, b"other")
        href = path(spec["href"]).replace(oid_of(data), other)
        assert portal.client.get(href, headers=spec["header"], status=403).status_code == 403
        portal.action("get_resource_download_spec", None, 404, id=resource["id"])
        portal.action("get_resource_download_spec", factories.UserWithToken(), 404, id=resource["id"])

    def test_of_a_resource_that_is_described_only_the_id_counts(self, portal, data):
        editor, dataset = editor_and_dataset()
        secret_owner, secret = editor_and_dataset(private=True)
        hidden = portal.publish(secret_owner, secret, b"hidden")
        link = portal.action("resource_create", editor, package_id=dataset["id"], url="https://example.org/")
        described = {**hidden, "id": link["id"]}
        assert portal.action("get_resource_download_spec", editor, resource=described) == {}
        portal.action("get_resource_download_spec", editor, 404, resource=hidden)
        portal.action("get_resource_download_spec", editor, 409, resource="x")
        portal.action("get_resource_download_spec", editor, 409, id=link["id"], activity_id="x")

    def test_no_cache_keeps_it_and_nothing_shown_has_it(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        response = portal.get(f"/api/3/action/get_resource_download_spec?id={resource['id']}")
        assert response.headers["Cache-Control"] == "private, no-store"
        assert set(response.json["result"]["header"]) == {"Authorization"}
        shown = portal.action("package_show", editor, id=dataset["id"])
        assert shown["resources"][0]["url"] == resource["url"]
        assert not {"href", "header"} & set(shown["resources"][0])


def test_what_a_resource_says_of_its_data(portal):
    editor, dataset = editor_and_dataset()
    resource = portal.action(
        "resource_create",
        editor,
        package_id=dataset["id"],
        url="https://example.org/",
        schema='{"fields": [{"name": "a", "nullable": true}]}',
        sample="[{'a': None}]",
    )
    asked = {"id": resource["id"]}
    fields = [{"name": "a", "nullable": True}]
    assert portal.action("resource_schema_show", None, **asked) == {"fields": fields}
    assert portal.action("resource_sample_show", None, resource={**asked, "sample": "[]"}) == [{"a": None}]


def test_the_page_tells_size_and_sha256(portal, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data * 100)
    page = portal.get(f"/dataset/{dataset['name']}/resource/{resource['id']}").body
    assert f">{oid_of(data * 100)}</code>" in page
    assert f"({len(data) * 100:,} bytes)" in page
    assert f"/dataset/{dataset['id']}/file/{oid_of(data * 100)}" in page
    link = portal.action("resource_create", editor, package_id=dataset["id"], url="https://example.org/")
    assert "external-storage-file" not in portal.get(f"/dataset/{dataset['name']}/resource/{link['id']}").body


def test_older_names(portal, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data)
    with portal.app.flask_app.test_request_context():
        for endpoint in ("blob_storage.download", "extstorage.download"):
            url = tk.url_for(endpoint, id=dataset["id"], resource_id=resource["id"], filename="data.csv")
            assert url == path(resource["url"])
        for prefix in ("blob_storage", "extstorage"):
            assert tk.h[f"{prefix}_server_url"]() == config.lfs_url()
            assert tk.h[f"{prefix}_storage_namespace"]() == "ckan"
        scope = helpers.resource_authz_scope(dataset["name"], "read", resource_id=resource["id"])
        assert scope == f"obj:ckan/{dataset['name']}/{oid_of(data)}:read"
        assert helpers.resource_authz_scope("a", org_name="o") == "obj:o/a/*:read,write"
        assert helpers.organization_name_for_package(dataset) == dataset["organization"]["name"]
        assert helpers.resource_filename(resource) == "data.csv"
        valid_sha256: Any = tk.get_validator("valid_sha256")
        assert valid_sha256(oid_of(data)) == oid_of(data)
        for wrong in ("0x" + "1" * 62, "A" * 64, "1" * 63, None):
            with pytest.raises(tk.Invalid):
                valid_sha256(wrong)
