"""``refused_types``: by whatever way a file with such a name comes, nothing is kept of it or refers to it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator

import pytest
from ckan import model
from ckan.tests import helpers

from tests.portal import Portal, editor_and_dataset, oid_of
from tests.upload_client import Client

OPTION = "ckanext.external_storage.refused_types"


@pytest.fixture(autouse=True)
def refused() -> Iterator[None]:
    with helpers.changed_config(OPTION, ["exe", ".Tar.XZ"]):
        yield


@pytest.mark.parametrize("name", ["a.exe", "A.EXE", "a.exe. ", "a.tar.xz"])
def test_an_upload_does_not_begin(portal: Portal, name: str):
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    assert "end in ." in client.begin(3, 415, filename=name)["message"]


@pytest.mark.parametrize("name", ["exe", ".exe.csv", "a.xz", "a.exe.csv", None])
def test_others_do(portal: Portal, name: str | None):
    editor, dataset = editor_and_dataset()
    message = {"filename": name} if name else {}
    Client(portal, editor, dataset).begin(3, **message)


def test_a_form_that_brings_it(portal: Portal):
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    answer = portal.client.post(
        "/api/3/action/resource_create",
        data={"package_id": dataset["id"], "upload": (io.BytesIO(data), "tool.exe")},
        headers={"Authorization": editor["token"]},
        status=409,
    )
    assert "end in .exe" in answer.json["error"]["upload"][0]


def test_a_save_that_gives_an_upload_such_a_name(portal: Portal):
    editor, dataset = editor_and_dataset()
    client, data = Client(portal, editor, dataset), uuid.uuid4().bytes
    upload = client.begin(len(data))
    client.patch(upload, 0, data)
    fields = {"url": "tool.exe", "url_type": "upload", "sha256": oid_of(data), "package_id": dataset["id"]}

    def save(status: int, **more: object) -> dict:
        headers = {"Authorization": editor["token"]}
        return portal.client.post(
            "/api/3/action/resource_create", json={**fields, **more}, headers=headers, status=status
        ).json

    assert "end in .exe" in save(409)["error"]["upload"][0]
    resource = save(200, url="tool.csv")["result"]
    with helpers.changed_config(OPTION, ["csv"]):  # what is there stays, and can be edited
        helpers.call_action("resource_patch", {"user": editor["name"]}, id=resource["id"], name="Tool")
    assert model.Resource.get(resource["id"]).name == "Tool"
