"""Uploads in pieces: tus 1.0.0, by browsers with a token and by git-lfs with what the batch API gave it."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from ckan.tests import factories, helpers
from sqlalchemy import event
from werkzeug.serving import make_server

from ckanext.external_storage import config, errors, jobs, model
from ckanext.external_storage.lfs import objects, tus
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.transfer import beginning, finishing, uploads
from ckanext.external_storage.transfer.standing import database_now
from tests.portal import Portal, editor_and_dataset, oid_of, path, pointer
from tests.portal import standing as standing_portal
from tests.upload_client import TUS, Client


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode() * 100


@pytest.fixture
def client(portal) -> Client:
    return Client(portal, *editor_and_dataset())


def test_a_file_in_pieces_becomes_the_dataset_s_with_its_last_byte(client, data):
    upload = client.begin(len(data), filename="data.csv", fingerprint="data.csv 1")
    assert (upload["transfer"], upload["state"]) == ("tus", "open")
    assert client.patch(upload, 0, data[:1000]).headers["Upload-Offset"] == "1000"
    head = client.tus("HEAD", upload, 200)
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("1000", str(len(data)))
    assert head.headers["Cache-Control"] == "no-store"
    assert head.headers["Tus-Resumable"] == "1.0.0"
    assert "Upload-Expires" in head.headers
    assert client.show(upload)["offset"] == 1000
    assert client.patch(upload, 1000, data[1000:]).headers["Upload-Offset"] == str(len(data))
    assert client.show(upload)["oid"] == oid_of(data)
    assert client.complete(upload, oid=oid_of(data))["state"] == "verified"
    client.complete(upload, 422, oid="0" * 64)
    assert client.tus("HEAD", upload, 200).headers["Upload-Offset"] == str(len(data))
    client.tus("DELETE", upload, 410)
    (answer,) = client.portal.batch(
        client.dataset, client.auth["Authorization"][7:], "download", {"oid": oid_of(data), "size": len(data)}
    )
    download = answer["actions"]["download"]
    assert client.portal.app.get(path(download["href"]), headers=download["header"]).data == data


def test_begun_again_it_goes_on_and_another_tab_shares_it(client, data):
    upload = client.begin(len(data), fingerprint="same")
    client.patch(upload, 0, data[:10])
    again = client.begin(len(data), 200, fingerprint="same")
    assert again["id"] == upload["id"]
    assert client.show(again)["offset"] == 10
    assert client.begin(len(data) + 1, fingerprint="same, but grown")["id"] != upload["id"]
    by_oid = client.begin(len(data), oid=oid_of(data))
    assert client.begin(len(data), 200, oid=oid_of(data))["id"] == by_oid["id"]


def test_a_file_of_no_bytes_is_there_at_once(client):
    upload = client.begin(0, filename="empty.csv")
    assert (upload["state"], upload["oid"]) == ("verified", oid_of(b""))


def test_what_the_dataset_has_is_not_sent_again(client, data):
    first = client.begin(len(data), oid=oid_of(data))
    client.patch(first, 0, data)
    again = client.begin(len(data), oid=oid_of(data))
    assert (again["state"], again["oid"]) == ("verified", oid_of(data))


def test_wrong_bytes_are_told_and_the_upload_begins_again(client, data):
    upload = client.begin(len(data), oid=oid_of(data))
    client.patch(upload, 0, b"?" * len(data), 422)
    assert client.tus("HEAD", upload, 200).headers["Upload-Offset"] == "0"
    client.patch(upload, 0, data)
    assert client.show(upload)["state"] == "verified"


def test_refusals_of_the_protocol(client, data):
    upload = client.begin(len(data))
    client.patch(upload, 0, data[:100])
    wrong = client.patch(upload, 50, data[50:], 409)
    assert wrong.headers["Upload-Offset"] == "100"
    assert wrong.headers["Tus-Resumable"] == "1.0.0"
    client.patch(upload, 100, data[100:] + b"x", 413)
    client.patch(upload, 100, data[100:], 415, Content_Type="application/octet-stream")
    client.patch(upload, "x", data[100:], 400)
    assert client.patch(upload, 100, data[100:], 412, Tus_Resumable="0.2").headers["Tus-Version"] == "1.0.0"
    client.tus("POST", upload, 405)
    assert client.show(upload)["offset"] == 100
    options = client.tus("OPTIONS", upload, 204)
    assert options.headers["Tus-Extension"] == "termination,expiration"
    sent = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": 100}
    client.tus("POST", upload, 204, data[100:], X_HTTP_Method_Override="PATCH", **sent)
    assert client.show(upload)["state"] == "verified"


def test_discarded_it_is_gone(client, data):
    upload = client.begin(len(data))
    client.patch(upload, 0, data[:100])
    client.tus("DELETE", upload, 204)
    client.patch(upload, 100, data[100:], 410)
    client.tus("HEAD", upload, 410)
    assert client.show(upload)["state"] == "expired"
    other = client.begin(len(data))
    client.json("DELETE", f"/lfs/uploads/{other['id']}", 204)
    client.complete(other, 410)


def test_only_its_user_and_those_who_may_write_to_its_dataset(client, data):
    upload = client.begin(len(data))
    stranger = Client(client.portal, *editor_and_dataset())
    for ask in (stranger.show, stranger.complete):
        ask(upload, 404)
    stranger.tus("HEAD", upload, 404)
    stranger.patch(upload, 0, data, 404)
    stranger.json("DELETE", f"/lfs/uploads/{upload['id']}", 404)
    for id in (str(uuid.uuid4()), "x", "0" * 36):
        client.show({"id": id}, 404)
    client.portal.client.get(f"/lfs/uploads/{upload['id']}", status=401)
    client.portal.client.open(path(upload["href"]), method="HEAD", headers=TUS, status=401)


def test_with_what_the_batch_gives_to_git_lfs(client, data):
    """A capability for this object; one for another, or for another kind of request, opens nothing."""
    with config.engine().begin() as connection:
        user_id, jti = connection.execute(
            sa.text("SELECT user_id, jti FROM authz_service_token ORDER BY issued DESC LIMIT 1")
        ).one()
        now = database_now(connection)
        wanted = {oid_of(data): len(data)}
        (upload,) = uploads.open_uploads(
            connection, user_id, client.dataset["id"], wanted, now, lambda size: "tus"
        ).values()
    at = {"href": f"/lfs/uploads/{upload.id}/tus"}

    def permit(method: str = "TUS", oid: str = oid_of(data)) -> dict[str, str]:
        package_id, expires = client.dataset["id"], int(time.time()) + 900
        permit = Capability(method, package_id, oid, len(data), user_id, jti, expires)
        return permit.header(config.capability_secret())

    client.tus("HEAD", at, 403, **permit("PUT"))
    client.tus("HEAD", at, 404, **permit(oid="0" * 64))
    client.patch(at, 0, data, **permit())
    assert client.tus("HEAD", at, 200, **permit()).headers["Upload-Offset"] == str(len(data))


def test_bytes_that_wait_to_be_hashed(client, data):
    """As when a process dies after the last byte: nobody has its hash, and a job reads the file."""
    upload = client.begin(len(data))
    with config.engine().connect() as connection:
        row = uploads.get(connection, upload["id"])
    store: Any = config.store()
    store._part(row.key).path.parent.mkdir(parents=True, exist_ok=True)
    store._part(row.key).path.write_bytes(data)
    client.tus("HEAD", upload, 423)
    assert client.show(upload)["state"] == "received"
    message = client.complete(upload, 503)["message"]
    assert "ckan jobs worker" in message, "there is no worker"
    client.patch(upload, len(data), b"", 423)
    assert jobs.check_upload(upload["id"]) == "verified"
    assert client.complete(upload)["oid"] == oid_of(data)


def test_verify_of_git_lfs_does_not_wait_for_ever(portal, data, monkeypatch):
    """It is told 202 before its patience ends, and 200 when a job has read the file."""
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", pointer(data), transfers=["tus", "basic"])
    with config.engine().connect() as connection:
        id = answer["actions"]["upload"]["href"].split("/")[-2]
        upload = uploads.get(connection, id)
    verify = answer["actions"]["verify"]
    portal.verify(verify, data, 404)
    store: Any = config.store()
    part = store._part(upload.key).path
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(data)  # and nobody has its hash
    monkeypatch.setattr(objects, "VERIFY_PATIENCE", 0)
    assert "being checked" in json.loads(portal.verify(verify, data, 202).body)["message"]
    assert jobs.check_upload(upload.id) == "verified"
    portal.verify(verify, data)


def test_a_client_that_falls_silent_is_given_up(portal, client, monkeypatch):
    """What it has brought stays, but for the last piece that is read at a time."""
    monkeypatch.setattr(tus, "READ_SECONDS", 0.3)
    data = uuid.uuid4().bytes * 20_000
    upload = client.begin(len(data))
    headers = {**TUS, **client.auth, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    lines = [f"PATCH {path(upload['href'])} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}"]
    head = "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""])
    server = make_server("127.0.0.1", 0, portal.app.flask_app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(head.encode() + data[: tus.PIECE + 100])
        answer = connection.makefile("rb").read()  # to its end: nothing more is sent, and none is waited for
    server.shutdown()
    thread.join()
    assert b" 204 " in answer.splitlines()[0]
    assert f"Upload-Offset: {tus.PIECE}".encode() in answer
    assert client.show(upload)["offset"] == tus.PIECE


def test_two_tabs_that_begin_the_same_file_at_the_same_moment(client, data):
    """They share the upload; if the first one ends between two statements of the second, that is told."""
    dataset, engine = client.dataset["id"], config.engine()

    def begin(connection: sa.Connection) -> tuple[uploads.Upload, bool]:
        now = database_now(connection)
        return beginning.begin(
            connection, config.store(), "ann", dataset, None, len(data), now, fingerprint="same"
        )

    @contextlib.contextmanager
    def after(word: str, connection: sa.Connection, act: Callable[[], Any]) -> Iterator[None]:
        """*act* happens once, right after the connection's first statement that begins with *word*."""
        todo = [act]

        def listen(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            if todo and statement.startswith(word) and "external_storage_upload" in statement:
                todo.pop()()

        event.listen(connection, "after_cursor_execute", listen)
        yield
        assert not todo

    first: list[uploads.Upload] = []

    def other_tab_begins() -> None:
        with engine.begin() as connection:
            first.append(begin(connection)[0])

    def other_tab_ends() -> None:
        with engine.begin() as connection:
            uploads.discard(connection, first[-1].id, database_now(connection))

    with engine.begin() as connection, after("WITH chosen", connection, other_tab_begins):
        found, new = begin(connection)
    assert (found.id, new) == (first[0].id, False)
    other_tab_ends()
    with (
        engine.begin() as connection,
        after("WITH chosen", connection, other_tab_begins),
        after("INSERT", connection, other_tab_ends),
        pytest.raises(errors.UploadBusy, match="Begin again"),
    ):
        begin(connection)


def test_limits(client):
    with helpers.changed_config("ckanext.external_storage.max_upload_size", "1MiB"):
        assert "at most 1048576 bytes" in client.begin((1 << 20) + 1, 413)["message"]
        first = client.begin(1 << 20)
    with helpers.changed_config("ckanext.external_storage.max_unfinished_uploads", 2):
        client.begin(1)
        assert "external_storage_upload_list" in client.begin(1, 429)["message"]
        client.json("DELETE", f"/lfs/uploads/{first['id']}", 204)
        client.begin(1)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"size": -1},
        {"size": True},
        {"size": 1 << 63},
        {"size": 1, "oid": "x"},
        {"size": 1, "filename": ""},
        {"size": 1, "fingerprint": "x" * 501},
        {"size": 1, "filename": "\0"},
    ],
    ids=str,
)
def test_what_cannot_be_begun(client, message):
    size = message.pop("size", None)
    client.begin(size, 422, **message)


@pytest.mark.parametrize("event", ["deleted", "purged", "moved", "account deleted", "tokens revoked"])
def test_what_happens_to_the_dataset_or_the_account_meanwhile(portal, data, event):
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    upload = client.begin(len(data))
    client.patch(upload, 0, data[:100])
    with config.engine().connect() as connection:
        row = uploads.get(connection, upload["id"])
    sysadmin, other = factories.SysadminWithToken(), factories.Organization()
    if event in ("deleted", "purged"):
        portal.action("package_delete", editor, id=dataset["id"])
    if event == "purged":
        portal.action("dataset_purge", sysadmin, id=dataset["id"])
    if event == "moved":
        portal.action("package_owner_org_update", sysadmin, id=dataset["id"], organization_id=other["id"])
    if event == "account deleted":
        portal.action("user_delete", sysadmin, id=editor["id"])
    if event == "tokens revoked":
        portal.action("authz_token_revoke", editor, user_id=editor["id"])
    store: Any = config.store()
    rest = io.BytesIO(data[100:])
    with pytest.raises(errors.UploadOver):  # in a request that had begun before
        finishing.append(config.engine(), store, row, 100, rest, len(data) - 100, jobs.check_later)
    with config.engine().connect() as connection:
        assert not connection.execute(
            sa.select(model.link).where(model.link.c.package_id == dataset["id"])
        ).all()
    assert store.stat(row.key) is None
