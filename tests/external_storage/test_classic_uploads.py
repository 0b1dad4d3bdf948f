"""Files that CKAN's own FileStore took in before the plugin was there."""

from __future__ import annotations

import io
import uuid

import pytest
from ckan import plugins
from ckan.plugins import toolkit as tk
from werkzeug.datastructures import FileStorage

from tests.portal import editor_and_dataset, oid_of


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
