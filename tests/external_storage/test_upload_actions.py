"""One's unfinished uploads, seen from anywhere, and discarded."""

from __future__ import annotations

import re
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


def test_the_page_of_one_s_own(portal):
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    upload = client.begin(3000, filename="<b>big</b>.csv")
    client.patch(upload, 0, b"x" * 1000)
    address = f"/user/{editor['name']}/uploads"
    for other in (None, factories.UserWithToken()):
        portal.get(address, other, status=403)
    page = portal.get(address, editor).text
    assert "&lt;b&gt;big&lt;/b&gt;.csv" in page
    assert "1,000 bytes of 2.9 KiB have arrived" in re.sub(r"\s+", " ", page)
    assert f"{dataset['name']}</a>" in page
    headers = {"Authorization": editor["token"]}
    form = {"upload": upload["id"]}
    portal.client.post(f"{address}/discard", data=form, headers=headers, status=400)
    assert client.show(upload)["state"] == "open", "the form was not sent by our page"


def test_discarded_by_the_button_of_the_page(portal):
    editor = factories.UserWithToken(password="correct horse")
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    client = Client(portal, editor, factories.Dataset(owner_org=organization["id"]))
    upload = client.begin(10)
    form = {"login": editor["name"], "password": "correct horse"}
    portal.client.post("/user/login", data=form, follow_redirects=False, status=302)
    page = portal.client.get(f"/user/{editor['name']}/uploads").text
    token = re.search(r'name="_csrf_token" value="([^"]+)"', page)
    assert token
    sent = {"upload": upload["id"], "_csrf_token": token[1]}
    portal.client.post(
        f"/user/{editor['name']}/uploads/discard", data=sent, follow_redirects=False, status=302
    )
    assert client.show(upload)["state"] == "expired"
    assert "You have no unfinished uploads" in portal.client.get(f"/user/{editor['name']}/uploads").text
