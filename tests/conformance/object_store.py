"""What every object store must do. An adapter's test inherits `ObjectStoreSuite` and makes a ``store``."""

from __future__ import annotations

import hashlib
import io
import threading
import uuid
from datetime import datetime, timedelta, timezone

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import ObjectStore, key_for

PAYLOADS = {
    "empty": b"",
    "one byte": b"x",
    "text": b"date,price\n2026-01-01,3\n",
    "several chunks": bytes(range(256)) * 20_000,
}


def oid_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def new_key(data: bytes) -> str:
    return key_for(oid_of(data), str(uuid.uuid4()))


class Cut(io.BytesIO):
    """A client whose connection breaks after the bytes it had."""

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        if not chunk:
            raise ConnectionResetError("peer went away")
        return chunk


class ObjectStoreSuite:
    @pytest.mark.parametrize("data", PAYLOADS.values(), ids=PAYLOADS)
    def test_gives_back_what_was_put(self, store: ObjectStore, data: bytes):
        key = new_key(data)
        store.put(key, io.BytesIO(data), len(data), oid_of(data))
        with store.open(key) as file:
            assert file.read() == data

    def test_tells_the_sha256_where_it_was_not_known_before(self, store: ObjectStore):
        data = PAYLOADS["several chunks"]
        key = key_for(None, str(uuid.uuid4()))
        assert store.put(key, io.BytesIO(data), len(data), None) == oid_of(data)
        with store.open(key) as file:
            assert file.read() == data

    def test_reads_from_any_position(self, store: ObjectStore):
        key = new_key(b"0123456789")
        store.put(key, io.BytesIO(b"0123456789"), 10, oid_of(b"0123456789"))
        with store.open(key) as file:
            file.seek(7)
            assert file.read() == b"789"

    def test_putting_again_changes_nothing(self, store: ObjectStore):
        key = new_key(b"same")
        for _ in range(2):
            store.put(key, io.BytesIO(b"same"), 4, oid_of(b"same"))
        with store.open(key) as file:
            assert file.read() == b"same"

    def test_wrong_bytes_leave_nothing(self, store: ObjectStore):
        key = new_key(b"right")
        with pytest.raises(errors.ChecksumMismatch) as error:
            store.put(key, io.BytesIO(b"wrong"), 5, oid_of(b"right"))
        assert (error.value.declared, error.value.received) == (oid_of(b"right"), oid_of(b"wrong"))
        self.assert_absent(store, key)

    @pytest.mark.parametrize("source", [io.BytesIO, Cut], ids=["body ends early", "connection breaks"])
    def test_too_few_bytes_leave_nothing(self, store: ObjectStore, source):
        key = new_key(b"complete")
        with pytest.raises(errors.WrongSize) as error:
            store.put(key, source(b"comp"), 8, oid_of(b"complete"))
        assert (error.value.declared, error.value.received) == (8, 4)
        self.assert_absent(store, key)

    def test_wrong_bytes_do_not_harm_what_is_there(self, store: ObjectStore):
        key = new_key(b"right")
        store.put(key, io.BytesIO(b"right"), 5, oid_of(b"right"))
        with pytest.raises(errors.ChecksumMismatch):
            store.put(key, io.BytesIO(b"wrong"), 5, oid_of(b"right"))
        with store.open(key) as file:
            assert file.read() == b"right"

    def test_no_more_than_size_is_read(self, store: ObjectStore):
        source = io.BytesIO(b"bodynext request")
        store.put(new_key(b"body"), source, 4, oid_of(b"body"))
        assert source.read() == b"next request"

    def test_writers_side_by_side_end_with_one_object(self, store: ObjectStore):
        data = PAYLOADS["several chunks"]
        key, failures = new_key(data), []

        def put():
            try:
                store.put(key, io.BytesIO(data), len(data), oid_of(data))
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=put) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        with store.open(key) as file:
            assert oid_of(file.read()) == oid_of(data)

    def test_tells_what_is_there(self, store: ObjectStore):
        key, other = new_key(b"there"), new_key(b"there")
        assert store.stat(key) is None
        for each in (key, other):
            store.put(each, io.BytesIO(b"there"), 5, oid_of(b"there"))
        found = store.stat(key)
        assert found
        assert (found.size, found.defect) == (5, None)
        assert found.sha256 in (None, oid_of(b"there"))
        assert store.stat(key) == found

    def test_a_key_without_an_oid_serves_as_well(self, store: ObjectStore):
        key = key_for(None, str(uuid.uuid4()))
        assert store.put(key, io.BytesIO(b"unknown"), 7, None) == oid_of(b"unknown")
        with store.open(key) as file:
            assert file.read() == b"unknown"
        store.delete(key)
        assert store.stat(key) is None

    @pytest.mark.parametrize(
        "key", ["../secret", "/etc/passwd", "objects/aa/bb/x", "objects/../../x", "", "objects/"]
    )
    @pytest.mark.parametrize("method", ["stat", "open", "delete"])
    def test_a_damaged_key_names_nothing(self, store: ObjectStore, method: str, key: str):
        with pytest.raises(ValueError, match="not a key"):
            getattr(store, method)(key)

    def test_deletes_and_missing_is_no_error(self, store: ObjectStore):
        key = new_key(b"gone")
        store.put(key, io.BytesIO(b"gone"), 4, oid_of(b"gone"))
        store.delete(key)
        store.delete(key)
        self.assert_absent(store, key)

    def test_unfinished_writes_are_found_by_age(self, store: ObjectStore):
        assert store.delete_unfinished(datetime.now(timezone.utc) + timedelta(days=1)) == 0

    def assert_absent(self, store: ObjectStore, key: str) -> None:
        with pytest.raises(errors.StoreUnavailable):
            store.open(key)
