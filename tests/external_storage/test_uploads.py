"""Uploads, objects, links and dead keys on a real PostgreSQL (docs/external_storage.rst)."""

from __future__ import annotations

import hashlib
import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model
from sqlalchemy import exc

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import beginning, bringing, links, receiving, sweeping, uploads
from ckanext.external_storage.transfer.dead_keys import SECOND_DELETE
from tests.bare_dataset import make_dataset

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
LATER = NOW + timedelta(hours=25)


@pytest.fixture
def engine() -> sa.Engine:
    assert ckan_model.meta.engine
    return ckan_model.meta.engine


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def data() -> bytes:
    """Content that no other test has."""
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


@pytest.fixture
def dataset(engine: sa.Engine) -> str:
    return make_dataset(engine)


def oid_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def begin(engine: sa.Engine, dataset: str, data: bytes, user: str = "ann", now=NOW) -> uploads.Upload:
    with engine.begin() as connection:
        return uploads.open_uploads(connection, user, dataset, {oid_of(data): len(data)}, now)[oid_of(data)]


def send(engine, store, dataset, data, user="ann") -> uploads.Upload:
    upload = begin(engine, dataset, data, user)
    receiving.receive(engine, store, upload, io.BytesIO(data), NOW)
    return upload


def linked(engine: sa.Engine, dataset: str, data: bytes) -> links.StoredObject | None:
    with engine.begin() as connection:
        return links.linked(connection, dataset, [oid_of(data)]).get(oid_of(data))


def dead_keys(engine: sa.Engine) -> set[str]:
    with engine.begin() as connection:
        return set(connection.execute(sa.select(model.dead_key.c.key)).scalars())


def files(store: LocalStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_received_bytes_become_an_object_of_the_dataset(engine, store, dataset, data):
    upload = send(engine, store, dataset, data)
    assert linked(engine, dataset, data) == links.StoredObject(oid_of(data), len(data), upload.key)
    with store.open(upload.key) as file:
        assert file.read() == data


def test_wrong_bytes_leave_the_upload_open_and_the_store_empty(engine, store, dataset, data):
    upload = begin(engine, dataset, data)
    with pytest.raises(errors.ChecksumMismatch):
        receiving.receive(engine, store, upload, io.BytesIO(b"?" * len(data)), NOW)
    assert files(store) == []
    assert linked(engine, dataset, data) is None
    assert begin(engine, dataset, data) == upload
    receiving.receive(engine, store, upload, io.BytesIO(data), NOW)
    assert linked(engine, dataset, data)


def test_asking_again_gives_the_same_upload_and_another_user_another(engine, dataset, data):
    first = begin(engine, dataset, data)
    assert begin(engine, dataset, data) == first
    assert begin(engine, dataset, data, user="bob").id != first.id


def test_a_wrong_size_does_not_stand_in_the_way_of_the_right_one(engine, store, dataset, data):
    with engine.begin() as connection:
        wrong = uploads.open_uploads(connection, "ann", dataset, {oid_of(data): 1}, NOW)[oid_of(data)]
    with pytest.raises(errors.ChecksumMismatch):
        receiving.receive(engine, store, wrong, io.BytesIO(data), NOW)
    send(engine, store, dataset, data)
    assert linked(engine, dataset, data)


def test_content_of_one_dataset_is_unknown_in_another(engine, store, dataset, data):
    send(engine, store, dataset, data)
    assert linked(engine, str(uuid.uuid4()), data) is None


def test_the_same_content_twice_is_kept_once(engine, store, dataset, data):
    other = make_dataset(engine)
    first = send(engine, store, dataset, data)
    second = send(engine, store, other, data, user="bob")
    assert linked(engine, other, data).key == first.key
    assert [p.relative_to(store.root).as_posix() for p in files(store)] == [first.key]
    assert second.key in dead_keys(engine)


def test_what_was_at_a_server_that_the_site_had_before_is_brought_again(engine, store, dataset, data):
    """Until then it cannot be had, which is no fault of this program."""
    send(engine, store, dataset, data)
    other = make_dataset(engine)
    at_server = f"server/{other}/{oid_of(data)}.{len(data)}.{uuid.uuid4()}"
    with engine.begin() as connection:
        row = model.object.c.oid == oid_of(data)
        connection.execute(model.object.update().values(key=at_server).where(row))
        connection.execute(
            model.link.update().values(own_key=at_server).where(model.link.c.oid == oid_of(data))
        )
        named = model.upload.update().values(fingerprint="roads").where(model.upload.c.oid == oid_of(data))
        connection.execute(named)
    with pytest.raises(errors.AtFormerServer):
        store.open(linked(engine, dataset, data).key)
    now = datetime.now(timezone.utc)
    for name in ({"oid": oid_of(data)}, {"fingerprint": "roads"}):  # clients ask, and are told to send it
        with engine.connect() as connection:
            assert uploads.known(connection, dataset, [oid_of(data)], store) == {}
            upload, new = beginning.begin(connection, store, "ann", dataset, None, len(data), now, **name)
            assert (upload.state, new) == ("open", True)
    bringing.take(engine, store, "ann", dataset, None, "a.csv", io.BytesIO(data), now)
    with store.open(linked(engine, dataset, data).key) as file:
        assert file.read() == data
    with engine.connect() as connection:
        assert uploads.known(connection, dataset, [oid_of(data)], store) == {oid_of(data): len(data)}


def test_a_put_may_be_repeated(engine, store, dataset, data):
    upload = send(engine, store, dataset, data)
    receiving.receive(engine, store, upload, io.BytesIO(data), NOW)
    with store.open(linked(engine, dataset, data).key) as file:
        assert file.read() == data
    assert upload.key not in dead_keys(engine)


def send_at_once(engine, store, data, writers: list[tuple[str, str]]) -> None:
    """Each writer, a user and a dataset, brings the same bytes, and all begin to send together."""
    ready = threading.Barrier(len(writers))

    def send_when_ready(writer: tuple[str, str]) -> None:
        user, dataset = writer
        upload = begin(engine, dataset, data, user)
        ready.wait(60)
        receiving.receive(engine, store, upload, io.BytesIO(data), NOW)

    with ThreadPoolExecutor(len(writers)) as pool:
        list(pool.map(send_when_ready, writers))


@pytest.mark.proof(rounds=(2, 100), writers=(5, 8))
@pytest.mark.parametrize("who", ["one user", "many users"])
def test_uploads_side_by_side_end_with_one_object(engine, store, chance, counts, who):
    """Every writer's dataset gets its link; the one key that is kept can be read."""
    for turn in range(1, counts["rounds"] + 1):
        data = chance.randbytes(chance.randint(1, 3 << 20))
        writers = [(f"user {number}", make_dataset(engine)) for number in range(counts["writers"])]
        if who == "one user":
            writers = writers[:1] * len(writers)
        send_at_once(engine, store, data, writers)
        kept = {linked(engine, dataset, data).key for _, dataset in writers}
        assert len(kept) == 1
        with store.open(kept.pop()) as file:
            assert file.read() == data
        assert len(files(store)) == turn


def test_an_upload_that_ended_takes_no_bytes(engine, store, dataset, data):
    upload = begin(engine, dataset, data)
    sweeping.sweep(engine, store, LATER)
    with pytest.raises(errors.UploadNotFound):
        receiving.receive(engine, store, upload, io.BytesIO(data), LATER)
    assert files(store) == []
    assert linked(engine, dataset, data) is None
    with engine.begin() as connection, pytest.raises(errors.UploadNotFound):
        uploads.find_upload(connection, "ann", dataset, oid_of(data), len(data), LATER)
    assert begin(engine, dataset, data, now=LATER).id != upload.id


def test_sweeping_deletes_what_was_stored_but_never_linked(engine, store, dataset, data):
    """As after a crash between the last byte and the transaction."""
    upload = begin(engine, dataset, data)
    store.put(upload.key, io.BytesIO(data), len(data), oid_of(data))
    sweeping.sweep(engine, store, NOW)
    assert len(files(store)) == 1, "its time is not over yet"
    sweeping.sweep(engine, store, LATER)
    assert files(store) == []
    assert upload.key in dead_keys(engine), "deleted again later: a writer may have been under way"
    sweeping.sweep(engine, store, LATER + SECOND_DELETE)
    assert upload.key not in dead_keys(engine)


def test_sweeping_leaves_objects_alone(engine, store, dataset, data):
    send(engine, store, dataset, data)
    sweeping.sweep(engine, store, LATER)
    with store.open(linked(engine, dataset, data).key) as file:
        assert file.read() == data


def test_a_purged_dataset_leaves_nothing_to_its_successor(engine, store, dataset, data):
    send(engine, store, dataset, data)
    unfinished = begin(engine, dataset, data + b"more")
    with engine.begin() as connection:
        links.forget_dataset(connection, dataset, NOW)
    assert linked(engine, dataset, data) is None
    assert unfinished.key in dead_keys(engine)


def test_use_locks_the_link_until_the_save_has_ended(engine, store, dataset, data):
    send(engine, store, dataset, data)
    with engine.begin() as saving:
        assert links.use(saving, dataset, [oid_of(data), "f" * 64]) == {oid_of(data): len(data)}
        with engine.begin() as other:
            other.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(exc.OperationalError, match="lock timeout"):
                other.execute(model.link.delete().where(model.link.c.package_id == dataset))


@pytest.mark.parametrize(
    "change",
    [
        {"state": "open"},
        {"state": "expired"},
        {"key": "objects/aa/bb/other"},
        {"declared_oid": "0" * 64},
        {"package_id": "elsewhere"},
        {"user_id": "mallory"},
        {"declared_size": 1},
    ],
    ids=str,
)
def test_the_database_refuses_to_rewrite_a_verified_upload(engine, store, dataset, data, change):
    upload = send(engine, store, dataset, data)
    with engine.begin() as connection, pytest.raises(exc.DBAPIError):
        connection.execute(model.upload.update().values(**change).where(model.upload.c.id == upload.id))


@pytest.mark.parametrize(
    "row",
    [{"oid": "A" * 64, "size": 1}, {"oid": "a", "size": 1}, {"oid": "b" * 64, "size": -1}],
    ids=str,
)
def test_the_database_refuses_impossible_objects(engine, row):
    with engine.begin() as connection, pytest.raises(exc.IntegrityError):
        connection.execute(model.object.insert().values(key=str(uuid.uuid4()), **row))


def test_an_object_in_use_cannot_be_deleted(engine, store, dataset, data):
    send(engine, store, dataset, data)
    with engine.begin() as connection, pytest.raises(exc.IntegrityError):
        connection.execute(model.object.delete().where(model.object.c.oid == oid_of(data)))
