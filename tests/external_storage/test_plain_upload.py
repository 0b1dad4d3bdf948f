"""``upload=``: files that come with the save, as ckanapi and the form without JavaScript send them."""

from __future__ import annotations

import io
import threading
import uuid

import pytest
from ckan import model
from ckan.plugins import toolkit as tk
from ckan.tests import factories
from werkzeug.datastructures import FileStorage
from werkzeug.test import create_environ, run_wsgi_app

from ckanext.external_storage import config, plain_upload
from ckanext.external_storage.transfer import quota
from tests.portal import editor_and_dataset, oid_of


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def post(portal, action, user, data, filename="data.csv", /, key="upload", status=200, **fields):
    """A multipart request, as ckanapi sends it."""
    response = portal.client.post(
        f"/api/3/action/{action}",
        data={**fields, key: (io.BytesIO(data), filename)},
        headers={"Authorization": user["token"]} if user else {},
        status=status,
    )
    return response.json["result" if status == 200 else "error"]


def test_resource_create(portal, data):
    editor, dataset = editor_and_dataset()
    resource = post(portal, "resource_create", editor, data, "Prices 2026.csv", package_id=dataset["id"])
    assert (resource["sha256"], resource["size"]) == (oid_of(data), len(data))
    assert resource["url"].endswith("/download/prices-2026.csv")
    assert resource["mimetype"] == "text/csv"
    assert portal.get(resource["url"]).data == data


@pytest.mark.parametrize("action", ["resource_update", "resource_patch"])
def test_replacing_the_file(portal, data, action):
    editor, dataset = editor_and_dataset()
    resource = post(portal, "resource_create", editor, data, package_id=dataset["id"], description="kept")
    updated = post(portal, action, editor, data + b"2", "new.csv", id=resource["id"], name="table")
    assert (updated["sha256"], updated["name"]) == (oid_of(data + b"2"), "table")
    assert portal.get(updated["url"]).data == data + b"2"
    assert (updated["description"] or "") == ("kept" if action == "resource_patch" else "")


def test_package_revise(portal, data):
    editor, dataset = editor_and_dataset()
    post(portal, "resource_create", editor, data, package_id=dataset["id"])
    revised = post(
        portal,
        "package_revise",
        editor,
        data + b"2",
        key="update__resources__0__upload",
        match__name=dataset["name"],
    )
    (resource,) = revised["package"]["resources"]
    assert resource["sha256"] == oid_of(data + b"2")
    assert portal.get(resource["url"]).data == data + b"2"


@pytest.mark.parametrize("who", ["anonymous", "reader", "editor of another organisation"])
def test_whoever_may_not_write_stores_nothing(portal, data, who):
    editor, dataset = editor_and_dataset()
    user = {"anonymous": None, "reader": factories.UserWithToken()}.get(who, editor_and_dataset()[0])
    post(portal, "resource_create", user, data, package_id=dataset["id"], status=403)
    error = portal.action(
        "resource_create",
        editor,
        409,
        package_id=dataset["id"],
        url="x",
        url_type="upload",
        sha256=oid_of(data),
    )
    assert "sha256" in error


@pytest.mark.ckan_config("ckan.max_resource_size", 1)
def test_too_large_is_said(portal):
    editor, dataset = editor_and_dataset()
    data = bytes((1 << 20) + 1)
    error = post(portal, "resource_create", editor, data, package_id=dataset["id"], status=409)
    assert "ckan.max_resource_size" in error["upload"][0]
    post(portal, "resource_create", editor, bytes(1 << 20), package_id=dataset["id"])


def test_an_empty_file_field_is_no_file(portal):
    """What a browser sends for a form in which no file was chosen."""
    editor, dataset = editor_and_dataset()
    resource = post(
        portal,
        "resource_create",
        editor,
        b"",
        "",
        package_id=dataset["id"],
        url="https://a.example/x.csv",
    )
    assert resource["url"] == "https://a.example/x.csv"
    assert "sha256" not in resource


def test_the_form_without_javascript(portal, data):
    editor, dataset = editor_and_dataset()
    page = portal.get(f"/dataset/{dataset['id']}/resource/new", editor)
    assert 'name="upload"' in page.text
    form = {"save": "go-dataset-complete", "id": "", "url_type": "upload", "url": "", "name": "Table"}
    portal.client.post(
        f"/dataset/{dataset['id']}/resource/new",
        data={**form, "upload": (io.BytesIO(data), "table.csv")},
        headers={"Authorization": editor["token"]},
        follow_redirects=False,
        status=302,
    )
    (resource,) = portal.action("package_show", editor, id=dataset["id"])["resources"]
    assert (resource["name"], resource["sha256"]) == ("Table", oid_of(data))
    assert portal.get(resource["url"]).data == data


def test_a_new_dataset_brings_its_files(portal, data):
    """CKAN itself answers 500 to this."""
    sysadmin = factories.Sysadmin()
    given = [{"upload": FileStorage(io.BytesIO(content), "x.csv")} for content in (data, data + b"2")]
    dataset = tk.get_action("package_create")(
        {"user": sysadmin["name"]}, {"name": f"new-{uuid.uuid4()}", "resources": given}
    )
    files = [data, data + b"2"]
    assert [r["sha256"] for r in dataset["resources"]] == [oid_of(file) for file in files]
    assert [portal.get(r["url"]).data for r in dataset["resources"]] == files
    assert {r["lfs_prefix"] for r in dataset["resources"]} == {f"ckan/{dataset['id']}"}


class TestInTheMiddleOfATransaction:
    """Streaming would hold the caller's locks, and what the caller has not committed would be lost."""

    def save(self, dataset, data, **context):
        file = FileStorage(io.BytesIO(data), "x.csv")
        context = {"user": factories.Sysadmin()["name"], **context}
        return tk.get_action("resource_create")(context, {"package_id": dataset["id"], "upload": file})

    def test_deferred_commit(self, portal, data):
        with pytest.raises(tk.ValidationError, match="Upload it to the dataset first"):
            self.save(editor_and_dataset()[1], data, defer_commit=True)

    @pytest.mark.parametrize("flushed", [False, True])
    def test_pending_changes_are_kept(self, portal, data, flushed):
        _, dataset = editor_and_dataset()
        user = factories.Sysadmin()["name"]
        package = model.Package.get(dataset["id"])
        package.title = "not saved yet"
        if flushed:
            model.Session.flush()
        with pytest.raises(tk.ValidationError, match="Upload it to the dataset first"):
            tk.get_action("resource_create")(
                {"user": user},
                {"package_id": dataset["id"], "upload": FileStorage(io.BytesIO(data), "x.csv")},
            )
        model.Session.commit()
        model.Session.expire_all()
        assert model.Package.get(dataset["id"]).title == "not saved yet"

    def test_reading_before_does_no_harm(self, portal, data):
        _, dataset = editor_and_dataset()
        assert model.Package.get(dataset["id"]).title
        assert self.save(dataset, data)["sha256"] == oid_of(data)


class TestMeanwhile:
    """What others do while the file is being stored."""

    def save(self, portal, user, dataset, data, meanwhile):
        class Source(io.BytesIO):
            def read(self, size=-1, /):
                nonlocal meanwhile
                if todo := meanwhile:
                    meanwhile = None
                    other = threading.Thread(target=todo)
                    other.start()
                    other.join()
                return super().read(size)

        context = {"user": user["name"]}
        given = {"package_id": dataset["id"], "upload": FileStorage(Source(data), "x.csv")}
        try:
            return tk.get_action("resource_create")(context, given)
        finally:
            assert meanwhile is None

    def post(self, portal, action, **data):
        headers = {"Authorization": factories.SysadminWithToken()["token"]}
        return lambda: portal.app.test_client().post(f"/api/3/action/{action}", json=data, headers=headers)

    def test_the_dataset_is_purged(self, portal, data):
        editor, dataset = editor_and_dataset()
        purge = self.post(portal, "dataset_purge", id=dataset["id"])
        with pytest.raises(tk.ValidationError, match="was deleted"):
            self.save(portal, editor, dataset, data, purge)

    def test_the_dataset_is_moved_out_of_reach(self, portal, data):
        editor, dataset = editor_and_dataset()
        elsewhere = factories.Organization()
        move = self.post(
            portal, "package_owner_org_update", id=dataset["id"], organization_id=elsewhere["id"]
        )
        with pytest.raises(tk.NotAuthorized):
            self.save(portal, editor, dataset, data, move)
        model.Session.remove()
        assert model.Package.get(dataset["id"]).resources == []


def test_a_form_that_finds_no_room_is_refused_before_it_is_read(portal):
    form = create_environ("/dataset/x/resource/new", method="POST", content_type="multipart/form-data")
    body, status, _headers = run_wsgi_app(portal.app.app, {**form, "CONTENT_LENGTH": str(1 << 60)})
    assert status.startswith("507")
    assert "TMPDIR" in b"".join(body).decode()


def test_what_the_store_says_is_an_error_of_the_file(portal, data):
    editor, dataset = editor_and_dataset()
    with config.engine().begin() as connection:
        quota.set_limit(connection, dataset["owner_org"], len(data) - 1)
    error = post(portal, "resource_create", editor, data, package_id=dataset["id"], status=409)
    assert "upload" in error
    assert portal.action("package_show", editor, id=dataset["id"])["resources"] == []


def test_files_are_found_wherever_they_may_stand():
    def file(name):
        return FileStorage(io.BytesIO(), name)

    given = {
        "upload": file("a"),
        "name": "kept",
        "resources": [{"upload": file("b"), "x": 1}, {"url": "u"}],
        "update__resources__0__upload": file("c"),
        "update": {"resources": [{"upload": file("d")}]},
        "update__resources__extend": [{"upload": file("e")}],
    }
    assert plain_upload.replace_files(given, lambda f: {"url": f.filename, "sha256": "…"}) == {
        "url": "a",
        "sha256": "…",
        "name": "kept",
        "resources": [{"url": "b", "sha256": "…", "x": 1}, {"url": "u"}],
        "update__resources__0__url": "c",
        "update__resources__0__sha256": "…",
        "update": {"resources": [{"url": "d", "sha256": "…"}]},
        "update__resources__extend": [{"url": "e", "sha256": "…"}],
    }
