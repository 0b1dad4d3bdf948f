"""Files from before the plugin was there: of CKAN's own FileStore, and of the plugin's older versions."""

from __future__ import annotations

import io
import uuid

import pytest
from ckan import model, plugins
from ckan.lib import search
from ckan.plugins import toolkit as tk
from werkzeug.datastructures import FileStorage

from tests.portal import classic_path, editor_and_dataset, oid_of


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


@pytest.fixture
def classic(portal, data):
    """Editor, dataset and a resource whose file was uploaded with the plugins switched off."""
    editor, dataset = editor_and_dataset()
    switched_off = [name for name in ("versioning", "external_storage") if plugins.plugin_loaded(name)]
    plugins.unload(*switched_off)
    try:
        file = FileStorage(io.BytesIO(data), "classic.csv")
        given = {"package_id": dataset["id"], "name": "Classic", "upload": file}
        resource = tk.get_action("resource_create")({"user": editor["name"]}, given)
    finally:
        plugins.load(*reversed(switched_off))
    assert (resource["url_type"], resource.get("sha256")) == ("upload", None)
    return editor, dataset, resource


def test_can_still_be_downloaded(portal, classic, data):
    assert portal.get(classic[2]["url"]).data == data


def test_their_dataset_can_be_edited(portal, classic, data):
    editor, dataset, resource = classic
    portal.action("package_patch", editor, id=dataset["id"], title="A better title")
    portal.action("resource_patch", editor, id=resource["id"], description="Better, too")
    added = portal.publish(editor, dataset, data + b"2")
    assert portal.get(resource["url"]).data == data
    assert portal.get(added["url"]).data == data + b"2"


def test_can_be_replaced_by_a_stored_file(portal, classic, data):
    editor, dataset, resource = classic
    oid = portal.push(editor, dataset, data + b"2")
    updated = portal.action("resource_patch", editor, id=resource["id"], url="new.csv", sha256=oid)
    assert updated["sha256"] == oid_of(data + b"2")
    assert portal.get(updated["url"]).data == data + b"2"
    assert classic_path(resource).read_bytes() == data


def test_letting_go_of_one_leaves_it_where_it_is(portal, classic, data):
    editor, _, resource = classic
    link = {"url": "https://a.example/x.csv", "url_type": "", "clear_upload": "true"}
    assert portal.action("resource_patch", editor, id=resource["id"], **link)["url"] == link["url"]
    assert classic_path(resource).read_bytes() == data


@pytest.fixture
def older(portal):
    """Editor, dataset and a resource as ckanext-blob-storage saved it, whose file is at another server."""
    editor, dataset = editor_and_dataset()
    resource = model.Resource(name="Older", url="older.csv", url_type="upload", package_id=dataset["id"])
    resource.size = 7
    resource.extras = {"sha256": "ab" * 32, "lfs_prefix": "some-organization/older-name"}
    resource.position = 0
    model.Session.add(resource)
    model.repo.commit()
    id = resource.id
    model.Session.remove()
    search.rebuild(dataset["id"])
    return editor, dataset, portal.action("resource_show", editor, id=id)


def test_fields_of_older_versions_stay(portal, older, data):
    editor, dataset, resource = older
    ours = ("url", "url_type", "sha256", "size", "lfs_prefix")
    portal.action("package_patch", editor, id=dataset["id"], title="A better title")
    portal.action("resource_patch", editor, id=resource["id"], description="Better, too")
    forged = {"lfs_prefix": "other/place", "size": 1}
    portal.action("resource_patch", editor, id=resource["id"], **forged)
    portal.publish(editor, dataset, data)
    shown = portal.action("resource_show", editor, id=resource["id"])
    assert [shown[key] for key in ours] == [resource[key] for key in ours]


def test_files_of_older_versions_cannot_be_claimed(portal, older):
    editor, dataset, resource = older
    claim = {key: resource[key] for key in ("sha256", "lfs_prefix", "url", "url_type")}
    elsewhere = portal.action(
        "package_create", editor, name=f"e-{uuid.uuid4()}", owner_org=dataset["owner_org"]
    )
    for package_id in (dataset["id"], elsewhere["id"]):
        error = portal.action("resource_create", editor, 409, package_id=package_id, **claim)
        assert "sha256" in error
