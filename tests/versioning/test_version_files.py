"""All files of a version together: the checksums and the zip file, used as people use them."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model, plugins
from ckan.tests import factories

from ckanext.external_storage import config
from ckanext.external_storage.errors import StoreUnavailable
from ckanext.external_storage.transfer import links
from tests.portal import Portal, editor_and_dataset, oid_of
from tests.versioning import recorded
from tests.versioning.recorded import call

FIRST, SECOND, OTHER = b"id,value\n1,first\n", b"id,value\n1,second\n", b"other"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    """What `released` has made for all tests here."""
    return {}


@pytest.fixture
def released(portal: Portal, made: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An editor, and a dataset: v1 has two files of one name and a link, r6 has another file and no link.

    Tests may add revisions that have the same files.
    """
    if not made:
        editor, dataset = editor_and_dataset(title="Figures é")
        resource = portal.publish(editor, dataset, FIRST, "values.csv")
        portal.publish(editor, dataset, OTHER, "values.csv")
        link = call(
            "resource_create", package_id=dataset["id"], url="http://x.example/a\\b", name="Else\nwhere"
        )
        call("dataset_release_create", dataset=dataset["id"], name="v1")
        oid = portal.push(editor, dataset, SECOND)
        portal.action("resource_patch", editor, id=resource["id"], sha256=oid, url="values.csv")
        call("resource_delete", id=link["id"])
        made.update(editor=editor, dataset=dataset)
    return made["editor"], made["dataset"]


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_what_unzip_unpacks_is_what_the_checksums_say(portal: Portal, released: Any, tmp_path: Path):
    _editor, dataset = released
    address = f"/dataset/{dataset['name']}/v/v1"
    whole = portal.get(f"{address}/zip")
    (tmp_path / "v1.zip").write_bytes(whole.data)
    subprocess.run(["unzip", "-q", "v1.zip"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert (tmp_path / "values.csv").read_bytes() == FIRST
    assert (tmp_path / "values-2.csv").read_bytes() == OTHER
    sums = portal.get(f"{address}/SHA256SUMS")
    assert sums.data == (tmp_path / "SHA256SUMS").read_bytes()
    assert sums.data.decode() == f"{oid_of(FIRST)}  values.csv\n{oid_of(OTHER)}  values-2.csv\n"
    shown = call("package_show", id=dataset["id"], revision_ref="v1")
    # What package_show says, but for what the next save would change.
    was = {key: value for key, value in shown.items() if key != "is_current"}
    was["revision_ref"] = f"r{shown['revision']['seq']}"
    assert json.loads((tmp_path / "dataset.json").read_text()) == was
    assert "Else where: a link to http://x.example/a\\b\n" in (tmp_path / "NOT_INCLUDED.txt").read_text()

    head = portal.client.head(f"{address}/zip")
    for response in (whole, head):
        assert int(response.headers["Content-Length"]) == len(whole.data)
        assert response.headers["Content-Type"] == "application/zip"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{dataset["name"]}-v1.zip"'
    assert sums.headers["Content-Type"] == "text/plain; charset=utf-8"
    for response in (whole, head, sums):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert set(response.headers["Cache-Control"].split(", ")) == {"private", "no-store"}


def test_the_same_version_is_the_same_bytes_for_everybody_at_any_time(portal: Portal, released: Any):
    editor, dataset = released
    first = portal.get(f"/dataset/{dataset['name']}/v/v1/zip")
    call("package_patch", editor, id=dataset["id"], title="Later")
    assert portal.get(f"/de/dataset/{dataset['id']}/v/r4/zip", editor).data == first.data
    head = unpacked(portal.get(f"/dataset/{dataset['id']}/v/head/zip").data)
    assert list(head) == ["values.csv", "values-2.csv", "SHA256SUMS", "dataset.json"]
    assert head["values.csv"] == SECOND


def remove(dataset: dict[str, Any], data: bytes) -> None:
    """From the store, as by a fault of the disk."""
    linked = links.linked(model.Session.connection(), dataset["id"], [oid_of(data)])
    config.store().delete(linked[oid_of(data)].key)


def test_where_a_file_is_missing_there_is_no_zip_file_that_looks_whole(portal: Portal):
    editor, dataset = editor_and_dataset()
    # Content that no other test has: the store has each only once.
    kept, lost = (f"{word} {dataset['id']}".encode() for word in ("kept", "lost"))
    for data in (kept, lost):
        portal.publish(editor, dataset, data)
    address = f"/dataset/{dataset['name']}/v/head/zip"
    response = portal.client.get(address, buffered=False)
    remove(dataset, lost)
    chunks: list[bytes] = []
    with pytest.raises(StoreUnavailable):
        chunks.extend(response.iter_encoded())
    sent = b"".join(chunks)
    assert kept in sent
    assert len(sent) < int(response.headers["Content-Length"])
    with pytest.raises(zipfile.BadZipFile):
        unpacked(sent)
    assert "PK" not in portal.get(address, status=503).body


def test_a_site_may_limit_them(portal: Portal, released: Any, monkeypatch: pytest.MonkeyPatch):
    _editor, dataset = released
    page = f"/dataset/{dataset['name']}/v/v1"
    assert "Download all 2 files as a zip file" in portal.get(page).body
    for option, value in (("zip_max_files", 1), ("zip_max_bytes", len(FIRST))):
        with monkeypatch.context() as patch:
            patch.setitem(tk.config, f"ckanext.versioning.{option}", value)
            for address, status in ((f"{page}/zip", 403), (page, 200)):
                answer = portal.get(address, status=status).body
                assert "Download them one by one" in answer
                assert "as a zip file" not in answer
    assert portal.get(f"{page}/SHA256SUMS").data


def test_a_version_without_files(portal: Portal):
    dataset: Any = factories.Dataset(resources=[{"url": "x.example/1"}, {"url": "none"}])
    page = f"/dataset/{dataset['name']}/v/r1"
    assert portal.get(f"{page}/SHA256SUMS").data == b""
    files = unpacked(portal.get(f"{page}/zip").data)
    assert list(files) == ["SHA256SUMS", "dataset.json", "NOT_INCLUDED.txt"]
    body = portal.get(page).body
    assert "SHA256SUMS" not in body
    assert "its bytes were not kept" in body


class KeepsResourcesBackPlugin(plugins.SingletonPlugin):
    """A portal where some resources are not for everybody who may read the dataset."""

    plugins.implements(plugins.IAuthFunctions)

    def get_auth_functions(self) -> dict[str, Any]:
        return {"resource_show": self.resource_show}

    @staticmethod
    @tk.chained_auth_function
    @tk.auth_allow_anonymous_access
    def resource_show(next_auth: Any, context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
        resource = model.Resource.get(data_dict["id"])
        return {"success": False} if resource.description == "kept back" else next_auth(context, data_dict)


@pytest.fixture(autouse=True)
def other_plugins(provide_plugin) -> None:
    """Installed, but switched on only by the test that says so."""
    provide_plugin("keeps_resources_back", KeepsResourcesBackPlugin)


PLUGINS = "authz_service external_storage versioning"


@pytest.mark.ckan_config("ckan.plugins", f"{PLUGINS} keeps_resources_back")
def test_what_may_not_be_downloaded_alone_is_not_in_them(portal: Portal, released: Any):
    _editor, dataset = released
    resource = call("package_show", id=dataset["id"])["resources"][0]
    call("resource_patch", id=resource["id"], description="kept back")
    address = f"/dataset/{dataset['name']}/v/v1"
    assert portal.get(f"{address}/SHA256SUMS").data.decode() == f"{oid_of(OTHER)}  values.csv\n"
    content = portal.get(f"{address}/zip").data
    assert unpacked(content)["values.csv"] == OTHER
    assert FIRST not in content


def test_what_is_not_for_the_caller_is_not_there(portal: Portal, released: Any):
    editor, dataset = released
    call("package_patch", id=dataset["id"], private=True)
    private = recorded.newest(dataset["id"]).seq
    address = f"/dataset/{dataset['name']}/v"
    asked = [("v1", None, 404), ("v1", editor, 200), ("r99", editor, 404)]
    for ref, user, status in asked:
        for end in ("zip", "SHA256SUMS"):
            portal.get(f"{address}/{ref}/{end}", user, status=status)
    call("package_patch", id=dataset["id"], private=False)
    for ref, status in ((f"r{private}", 404), (f"r{private + 1}", 200)):
        for end in ("zip", "SHA256SUMS"):
            portal.get(f"{address}/{ref}/{end}", status=status)


@pytest.mark.ckan_config("ckan.plugins", "versioning")
def test_without_external_storage_there_are_no_files(portal: Portal):
    stored = {"url": "a.csv", "url_type": "upload", "sha256": "ab" * 32, "size": 7}
    dataset: Any = factories.Dataset(resources=[stored])
    page = f"/dataset/{dataset['name']}/v/r1"
    for end in ("zip", "SHA256SUMS"):
        assert "metadata only" in portal.get(f"{page}/{end}", status=404).body
    assert "zip file" not in portal.get(page).body
