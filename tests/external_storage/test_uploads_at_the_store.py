"""Bytes that go to the store itself, on a real S3 server, by requests that the server signed."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import ckantoolkit as tk
import pytest
import requests

from ckanext.external_storage import config, errors, jobs, model
from ckanext.external_storage.transfer import standing, sweeping, uploads
from tests.portal import Portal, editor_and_dataset, oid_of
from tests.portal import standing as standing_portal
from tests.upload_client import Client

#: Two parts.
LARGE = (16 << 20) + 1000


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def client(portal, monkeypatch, s3_options: dict[str, str]) -> Client:
    for name, value in s3_options.items():
        monkeypatch.setitem(tk.config, name, value)
    return Client(portal, *editor_and_dataset())


@pytest.fixture
def large() -> bytes:
    return random.Random(str(uuid.uuid4())).randbytes(LARGE)


def send(signed: dict[str, Any], data: bytes, **more: str) -> requests.Response:
    return requests.put(signed["href"], data=data, headers={**signed["header"], **more}, timeout=60)


def send_parts(client: Client, upload: dict[str, Any], data: bytes, numbers: list[int]) -> None:
    url = f"/lfs/uploads/{upload['id']}/parts"
    for part in client.json("POST", url, numbers=numbers)["parts"]:
        start = upload["part_size"] * (part["number"] - 1)
        assert send(part, data[start : start + upload["part_size"]]).status_code == 200


def row(upload: dict[str, Any]) -> uploads.Upload:
    with config.engine().connect() as connection:
        return uploads.get(connection, upload["id"])


def sweep_later(**later: float) -> None:
    with config.engine().connect() as connection:
        now = standing.database_now(connection)
    sweeping.sweep(config.engine(), config.store(), now + timedelta(**later))


def test_a_small_file_is_one_request_that_the_store_checks(client):
    data = f"id\n{uuid.uuid4()}\n".encode()
    upload = client.begin(len(data), oid=oid_of(data), filename="small.csv")
    assert upload["transfer"] == "put"
    client.complete(upload, 409)
    assert send(upload, b"?" * len(data)).status_code == 400, "other bytes"
    assert client.begin(len(data), 200, oid=oid_of(data))["id"] == upload["id"]
    assert send(upload, data).status_code == 200
    for _ in range(2):
        assert client.complete(upload, oid=oid_of(data))["oid"] == oid_of(data)
    with config.store().open(row(upload).key) as file:
        assert file.read() == data


def test_a_large_file_in_parts_is_hashed_by_a_job(client, large):
    upload = client.begin(len(large), filename="large.bin", fingerprint="large")
    assert (upload["transfer"], upload["part_size"]) == ("multipart", 16 << 20)
    send_parts(client, upload, large, [2])
    assert client.show(upload)["parts"] == [{"number": 2, "size": 1000}]
    missing = client.complete(upload, 409)
    assert "Send the rest" in missing["message"]
    assert missing["code"] == "bytes_missing"
    again = client.begin(len(large), 200, fingerprint="large")
    assert again["id"] == upload["id"], "another computer goes on with it"
    send_parts(client, upload, large, [1])
    assert "ckan jobs worker" in client.complete(upload, 503)["message"]
    assert client.show(upload)["state"] == "received"
    found = client.begin(len(large), 200, fingerprint="large")
    assert (found["id"], found["state"]) == (upload["id"], "received"), "a closed page finds it again"
    assert jobs.check_upload(upload["id"]) == "verified"
    assert client.begin(len(large), 200, fingerprint="large")["oid"] == oid_of(large)
    assert jobs.check_upload(upload["id"]) == "verified"
    assert client.complete(upload)["oid"] == hashlib.sha256(large).hexdigest()
    with config.engine().begin() as connection:
        connection.execute(model.link.delete().where(model.link.c.oid == oid_of(large)))
    assert client.begin(len(large), fingerprint="large")["id"] != upload["id"], "it is the dataset's no more"


def test_parts_that_there_are_not(client):
    upload = client.begin(LARGE)
    url = f"/lfs/uploads/{upload['id']}/parts"
    for numbers in ([], [0], [3], ["1"], [True], list(range(1, 102)), "12"):
        client.json("POST", url, 422, numbers=numbers)
    small = client.begin(1, oid="0" * 64)
    client.json("POST", f"/lfs/uploads/{small['id']}/parts", 409, numbers=[1])


def test_what_is_not_what_was_declared_is_rejected_and_goes(client, large):
    upload = client.begin(len(large), oid="0" * 64)
    send_parts(client, upload, large, [1, 2])
    client.complete(upload, 503)
    assert jobs.check_upload(upload["id"]) == "rejected"
    assert "sha256" in client.complete(upload, 422)["message"]
    assert client.show(upload)["reason"]
    key = row(upload).key
    sweep_later()
    assert config.store().stat(key) is None


def test_what_readers_could_not_read_is_rejected(client):
    data = f"id\n{uuid.uuid4()}\n".encode()
    upload = client.begin(len(data), oid=oid_of(data))
    assert send(upload, data, **{"Content-Encoding": "gzip"}).status_code == 200
    assert client.complete(upload, 422)["message"]
    assert client.show(upload)["state"] == "rejected"


def test_a_day_without_bytes_ends_it_unless_they_are_all_there(client, large):
    complete = client.begin(len(large))
    send_parts(client, complete, large, [1, 2])
    half = client.begin(len(large))
    send_parts(client, half, large, [1])
    parts = row(half)
    sweep_later(hours=23)
    assert client.show(half)["state"] == "open"
    sweep_later(hours=25)
    assert client.show(complete)["state"] == "received"
    assert client.show(half)["state"] == "expired"
    store: Any = config.store()
    with pytest.raises(errors.UploadNotFound):
        store.list_parts(parts.key, parts.store_ref)
    assert jobs.check_upload(complete["id"]) == "verified"


def test_discarded_parts_go_with_the_next_sweep(client, large):
    upload = client.begin(len(large))
    send_parts(client, upload, large, [1])
    parts = row(upload)
    client.json("DELETE", f"/lfs/uploads/{upload['id']}", 204)
    sweep_later()
    store: Any = config.store()
    with pytest.raises(errors.UploadNotFound):
        store.list_parts(parts.key, parts.store_ref)
