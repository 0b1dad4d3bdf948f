"""What every `base.AppendingStore` must do, beside `ObjectStoreSuite`."""

from __future__ import annotations

import io
import random
import threading

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Appended, AppendingStore
from tests.conformance.object_store import Cut, new_key, oid_of

DATA = bytes(range(256)) * 8_000


class Waiting:
    """A client that has sent *data* and then sends nothing until it is let go."""

    def __init__(self, data: bytes):
        self._data = io.BytesIO(data)
        self.waits = threading.Event()
        self.go = threading.Event()

    def read(self, size: int = -1, /) -> bytes:
        if piece := self._data.read(size):
            return piece
        self.waits.set()
        self.go.wait(60)
        return b"x"


def append(store: AppendingStore, key: str, data: bytes, offset: int = 0, end: int | None = None):
    piece = data[offset:end]
    return store.append(key, offset, io.BytesIO(piece), len(piece), len(data))


class AppendingStoreSuite:
    def test_can_append(self, store: AppendingStore):
        assert isinstance(store, AppendingStore)

    def test_in_one_piece(self, store: AppendingStore):
        key = new_key(DATA)
        assert store.offset(key) == 0
        done = append(store, key, DATA)
        assert (done.offset, done.sha256) == (len(DATA), oid_of(DATA))
        assert store.offset(key) == len(DATA)

    def test_in_pieces_of_any_length(self, store: AppendingStore):
        key, chance = new_key(DATA), random.Random(7)
        done = Appended(0)
        while done.offset < len(DATA):
            before = done.offset
            done = append(store, key, DATA, before, before + chance.randint(1, len(DATA) // 3))
            assert store.offset(key) == done.offset > before
        assert done.sha256 == oid_of(DATA)

    def test_a_broken_connection_keeps_what_came(self, store: AppendingStore):
        key = new_key(DATA)
        done = store.append(key, 0, Cut(DATA[:1000]), len(DATA), len(DATA))
        assert (done.offset, done.sha256) == (1000, None)
        assert append(store, key, DATA, 1000).sha256 == oid_of(DATA)

    def test_an_error_of_the_client_s_own_keeps_what_came(self, store: AppendingStore):
        class Failing(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if chunk := super().read(size):
                    return chunk
                raise RuntimeError

        key = new_key(DATA)
        with pytest.raises(RuntimeError):
            store.append(key, 0, Failing(DATA[:1000]), len(DATA), len(DATA))
        assert store.offset(key) == 1000

    @pytest.mark.parametrize("offset", [0, 999, 1001])
    def test_another_offset_is_refused_with_the_right_one(self, store: AppendingStore, offset: int):
        key = new_key(DATA)
        append(store, key, DATA, 0, 1000)
        with pytest.raises(errors.WrongOffset) as error:
            append(store, key, DATA, offset)
        assert error.value.offset == store.offset(key) == 1000

    def test_no_more_than_length_and_size_are_read(self, store: AppendingStore):
        key, source = new_key(b"body"), io.BytesIO(b"bodynext request")
        assert store.append(key, 0, source, 2, 4).offset == 2
        assert store.append(key, 2, source, 99, 4).offset == 4
        assert source.read() == b"next request"

    def test_nothing_can_be_read_before_it_is_sealed(self, store: AppendingStore):
        key = new_key(DATA)
        append(store, key, DATA)
        assert store.stat(key) is None
        with pytest.raises(errors.StoreUnavailable):
            store.open(key)
        with store.open_unsealed(key) as file:
            assert file.read() == DATA

    def test_sealed_and_sealed_again(self, store: AppendingStore):
        key = new_key(DATA)
        append(store, key, DATA)
        for _ in range(2):
            store.seal(key, len(DATA), oid_of(DATA))
            with store.open(key) as file, store.open_unsealed(key) as same:
                assert file.read() == same.read() == DATA
        assert store.offset(key) == len(DATA)
        with pytest.raises(errors.WrongOffset):
            append(store, key, DATA)

    def test_not_sealed_before_it_is_complete(self, store: AppendingStore):
        key = new_key(DATA)
        append(store, key, DATA, 0, 1000)
        with pytest.raises(errors.WrongSize) as error:
            store.seal(key, len(DATA), oid_of(DATA))
        assert (error.value.declared, error.value.received) == (len(DATA), 1000)
        assert store.offset(key) == 1000

    def test_deleted_with_all_that_was_appended(self, store: AppendingStore):
        key = new_key(DATA)
        append(store, key, DATA, 0, 1000)
        store.delete(key)
        store.delete(key)
        assert store.offset(key) == 0
        with pytest.raises(errors.StoreUnavailable):
            store.seal(key, len(DATA), oid_of(DATA))

    def test_a_client_that_comes_back_ends_its_old_connection(self, store: AppendingStore):
        """The old one hangs, as far as the server knows, in the middle of the file."""
        key, old, stopped = new_key(DATA), Waiting(DATA[:1000]), []

        def hang() -> None:
            try:
                store.append(key, 0, old, len(DATA), len(DATA))
            except errors.UploadBusy as error:
                stopped.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        assert old.waits.wait(60)
        threading.Timer(0.2, old.go.set).start()  # its client sends one more byte
        with pytest.raises(errors.WrongOffset) as error:
            append(store, key, DATA, 1000)
        thread.join(60)
        assert stopped
        assert error.value.offset == store.offset(key) == 1001

    def test_of_two_writers_at_one_offset_one_goes_on(self, store: AppendingStore):
        key, ready, ended = new_key(DATA), threading.Barrier(2), []

        def write() -> None:
            ready.wait(60)
            try:
                ended.append(append(store, key, DATA).offset)
            except (errors.WrongOffset, errors.UploadBusy) as error:
                ended.append(type(error))

        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(ended) == 2
        offset = store.offset(key)
        if offset < len(DATA):  # one was asked to stop, and the other came too late for where that was
            append(store, key, DATA, offset)
        with store.open_unsealed(key) as file:
            assert file.read() == DATA
