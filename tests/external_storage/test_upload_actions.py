"""One's unfinished uploads, seen from anywhere, and discarded."""

from __future__ import annotations

import uuid

from ckan.tests import factories

from tests.portal import editor_and_dataset
from tests.upload_client import Client


def test_unfinished_uploads_of_one_s_own(portal):
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    upload = client.begin(100, filename="big.csv")
    client.patch(upload, 0, b"x" * 30)
    done = client.begin(0)
    (found,) = portal.action("external_storage_upload_list", editor)
    assert found["id"] == upload["id"] != done["id"]
    shown = {name: found[name] for name in ("dataset", "filename", "size", "arrived", "state")}
    assert shown == {
        "dataset": dataset["name"], "filename": "big.csv", "size": 100, "arrived": 30, "state": "open",
    }  # fmt: skip
    assert found["expires_at"] > found["created"]
    stranger = factories.UserWithToken()
    assert portal.action("external_storage_upload_list", stranger) == []
    for action in ("external_storage_upload_show", "external_storage_upload_discard"):
        portal.action(action, stranger, 404, id=upload["id"])
        portal.action(action, editor, 404, id=str(uuid.uuid4()))
    ended = portal.action("external_storage_upload_discard", editor, id=upload["id"])
    assert ended["state"] == "expired"
    assert portal.action("external_storage_upload_list", editor) == []
    client.tus("HEAD", upload, 410)
    kept = portal.action("external_storage_upload_discard", editor, id=done["id"])
    assert kept["state"] == "verified"
