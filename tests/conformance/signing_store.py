"""What every store must do that lets clients send and fetch by themselves (`base.SigningStore`).

A plain HTTP client uses the signed requests, as a stranger would. An adapter's test inherits this beside
`ObjectStoreSuite` and may lower ``PART``, the smallest part that the store joins, or say by the fixture
``lists_unfinished`` that the store does not tell which uploads there are.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime, timedelta, timezone

import pytest
import requests

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Signed, SigningStore, key_for
from tests.conformance.object_store import new_key, oid_of

LIFETIME = timedelta(minutes=15)
RIGHT = b"date,price\n2026-01-01,3\n"
WRONG = b"date,price\n2026-01-01,4\n"


def send(signed: Signed, data: bytes, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.put(signed.href, data=data, headers={**signed.header, **(headers or {})}, timeout=30)


def is_as_it_should_be(store: SigningStore, key: str) -> bool:
    """Does nobody read it without a signature, and who has one nothing else?"""
    signed = store.sign_get(key, "text/csv", "attachment", LIFETIME)
    read = requests.get(signed.href, headers=signed.header, allow_redirects=False, timeout=30)
    stranger = requests.get(signed.href.partition("?")[0], allow_redirects=False, timeout=30)
    told = read.headers.get("x-amz-website-redirect-location")
    return (read.status_code, read.content, told, stranger.status_code) == (200, RIGHT, None, 403)


def unnamed_key() -> str:
    return key_for(None, str(uuid.uuid4()))


class SigningStoreSuite:
    PART = 5 << 20

    @pytest.fixture
    def lists_unfinished(self) -> bool:
        return True

    # --- one PUT ---

    @pytest.fixture
    def key(self) -> str:
        return new_key(RIGHT)

    @pytest.fixture
    def signed(self, store: SigningStore, key: str) -> Signed:
        return store.sign_put(key, oid_of(RIGHT), len(RIGHT), LIFETIME)

    @pytest.mark.parametrize("data", [b"", RIGHT], ids=["empty", "text"])
    def test_a_client_puts_exactly_these_bytes(self, store: SigningStore, data: bytes):
        key = new_key(data)
        signed = store.sign_put(key, oid_of(data), len(data), LIFETIME)
        answer = send(signed, data)
        assert answer.status_code == 200, answer.text
        found = store.stat(key)
        assert found
        assert (found.size, found.sha256, found.defect) == (len(data), oid_of(data), None)
        with store.open(key) as file:
            assert file.read() == data

    def test_a_signature_says_when_it_ends(self, store: SigningStore, key: str):
        now = datetime.now(timezone.utc)
        ends = store.sign_put(key, oid_of(RIGHT), len(RIGHT), LIFETIME).expires_at
        assert timedelta(0) <= now + LIFETIME - ends <= timedelta(seconds=1)

    @pytest.mark.parametrize("data", [WRONG, RIGHT + b"more", RIGHT[:-1], b""])
    def test_other_bytes_are_refused(self, store: SigningStore, key: str, signed: Signed, data: bytes):
        assert 400 <= send(signed, data).status_code < 500
        assert store.stat(key) is None

    def test_the_checksum_cannot_be_exchanged_or_left_out(self, store: SigningStore, key: str):
        signed = store.sign_put(key, oid_of(RIGHT), len(RIGHT), LIFETIME)
        other = store.sign_put(key, oid_of(WRONG), len(WRONG), LIFETIME)
        for header in (other.header, {"Content-Type": signed.header["Content-Type"]}):
            answer = requests.put(signed.href, data=WRONG, headers=header, timeout=30)
            assert 400 <= answer.status_code < 500
        assert store.stat(key) is None

    def test_another_type_is_refused(self, store: SigningStore, key: str, signed: Signed):
        assert 400 <= send(signed, RIGHT, {"Content-Type": "text/html"}).status_code < 500
        assert store.stat(key) is None

    def test_a_second_put_is_refused(self, store: SigningStore, key: str, signed: Signed):
        assert send(signed, RIGHT).status_code == 200
        before = store.stat(key)
        assert 400 <= send(signed, RIGHT).status_code < 500
        other = store.sign_put(key, oid_of(WRONG), len(WRONG), LIFETIME)
        assert 400 <= send(other, WRONG).status_code < 500
        assert store.stat(key) == before

    def test_another_key_or_method_is_refused(self, store: SigningStore, key: str, signed: Signed):
        other = new_key(RIGHT)
        href = signed.href.replace(key.rpartition("/")[2], other.rpartition("/")[2])
        assert href != signed.href
        assert requests.put(href, data=RIGHT, headers=signed.header, timeout=30).status_code == 403
        assert requests.get(signed.href, headers=signed.header, timeout=30).status_code == 403
        assert requests.delete(signed.href, headers=signed.header, timeout=30).status_code == 403
        assert (store.stat(key), store.stat(other)) == (None, None)

    def test_after_its_end_a_signature_opens_nothing(self, store: SigningStore, key: str):
        signed = store.sign_put(key, oid_of(RIGHT), len(RIGHT), timedelta(seconds=1))
        while datetime.now(timezone.utc) <= signed.expires_at + timedelta(seconds=1):
            time.sleep(0.1)
        assert send(signed, RIGHT).status_code == 403
        assert store.stat(key) is None

    @pytest.mark.parametrize(
        "header",
        [
            {"Content-Encoding": "gzip"},
            {"x-amz-website-redirect-location": "https://elsewhere.example"},
            {"x-amz-acl": "public-read"},
        ],
        ids=lambda header: next(iter(header)),
    )
    def test_what_a_client_adds_is_refused_or_noticed_or_ignored(
        self, store: SigningStore, key: str, signed: Signed, header: dict[str, str]
    ):
        status = send(signed, RIGHT, header).status_code
        found = store.stat(key)
        if 400 <= status < 500:
            assert found is None
        else:
            assert found
            assert found.defect or is_as_it_should_be(store, key)

    # --- in parts ---

    def begin(self, store: SigningStore, data: bytes) -> tuple[str, str, list[Signed]]:
        """A key, the reference, and a signed request for each part."""
        key = unnamed_key()
        ref = store.begin_multipart(key)
        signed = [
            store.sign_part(key, ref, number, len(data[start : start + self.PART]), LIFETIME)
            for number, start in enumerate(range(0, len(data), self.PART), 1)
        ]
        return key, ref, signed

    def pieces(self, data: bytes) -> list[bytes]:
        return [data[start : start + self.PART] for start in range(0, len(data), self.PART)]

    def test_parts_in_any_order_become_one_object(self, store: SigningStore):
        data = os.urandom(2 * self.PART + 7)
        key, ref, signed = self.begin(store, data)
        for request, piece in reversed(list(zip(signed, self.pieces(data), strict=True))):
            assert send(request, piece).status_code == 200
        assert [(p.number, p.size) for p in store.list_parts(key, ref)] == [
            (1, self.PART),
            (2, self.PART),
            (3, 7),
        ]
        assert store.stat(key) is None, "nobody sees it before it is complete"
        done = store.complete_multipart(key, ref, len(data))
        assert (done.size, done.sha256, done.defect) == (len(data), None, None)
        with store.open(key) as file:
            assert oid_of(file.read()) == oid_of(data)
        assert store.complete_multipart(key, ref, len(data)) == done, "the first answer may have been lost"

    def test_a_part_can_be_sent_again(self, store: SigningStore):
        key, ref, (signed,) = self.begin(store, RIGHT)
        for data in (WRONG, RIGHT):
            assert send(signed, data).status_code == 200
        store.complete_multipart(key, ref, len(RIGHT))
        with store.open(key) as file:
            assert file.read() == RIGHT

    def test_a_longer_part_is_refused(self, store: SigningStore):
        key, ref, (signed,) = self.begin(store, RIGHT)
        assert 400 <= send(signed, RIGHT + b"more").status_code < 500
        assert store.list_parts(key, ref) == []

    def test_parts_of_another_sum_are_not_joined(self, store: SigningStore):
        data = os.urandom(self.PART + 1)
        key, ref, signed = self.begin(store, data)
        send(signed[0], data[: self.PART])
        with pytest.raises(errors.WrongSize) as error:
            store.complete_multipart(key, ref, len(data))
        assert (error.value.declared, error.value.received) == (len(data), self.PART)
        assert len(store.list_parts(key, ref)) == 1, "the rest can still come"
        assert store.stat(key) is None

    def test_an_aborted_upload_takes_nothing_more(self, store: SigningStore):
        key, ref, (signed,) = self.begin(store, RIGHT)
        send(signed, RIGHT)
        for _ in range(2):
            store.abort_multipart(key, ref)
        assert send(signed, RIGHT).status_code == 404
        with pytest.raises(errors.UploadNotFound):
            store.list_parts(key, ref)
        with pytest.raises(errors.UploadNotFound):
            store.complete_multipart(key, ref, len(RIGHT))
        assert store.stat(key) is None

    def test_deleting_a_key_forgets_its_parts(self, store: SigningStore):
        key, ref, (signed,) = self.begin(store, RIGHT)
        send(signed, RIGHT)
        store.delete(key)
        with pytest.raises(errors.UploadNotFound):
            store.list_parts(key, ref)

    def test_parts_that_nobody_joined_are_swept_by_age(self, store: SigningStore, lists_unfinished: bool):
        key, ref, (signed,) = self.begin(store, RIGHT)
        send(signed, RIGHT)
        now = datetime.now(timezone.utc)
        store.delete_unfinished(now - timedelta(hours=1))
        assert len(store.list_parts(key, ref)) == 1, "an upload under way is left alone"
        if not lists_unfinished:
            assert store.delete_unfinished(now + timedelta(hours=1)) == 0
            return
        assert store.delete_unfinished(now + timedelta(hours=1)) >= 1
        with pytest.raises(errors.UploadNotFound):
            store.list_parts(key, ref)

    def test_every_size_fits_into_the_parts_that_are_allowed(self, store: SigningStore):
        for size in (1, 16 << 20, (16 << 20) + 1, 200 << 30, store.object_limit):
            part = store.part_size(size)
            assert self.PART <= part <= store.put_limit
            assert -(-size // part) <= 10_000

    # --- GET ---

    def test_a_download_says_what_we_say(self, store: SigningStore, key: str, signed: Signed):
        send(signed, RIGHT)
        disposition = "attachment; filename=\"x.csv\"; filename*=UTF-8''%C3%BCber%20alles.csv"
        answer = requests.get(store.sign_get(key, "text/csv", disposition, LIFETIME).href, timeout=30)
        assert (answer.status_code, answer.content) == (200, RIGHT)
        assert answer.headers["Content-Type"] == "text/csv"
        assert answer.headers["Content-Disposition"] == disposition
        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers.get("Content-Encoding") in (None, "identity")

    def test_a_part_of_a_download(self, store: SigningStore, key: str, signed: Signed):
        send(signed, RIGHT)
        href = store.sign_get(key, "text/csv", "attachment", LIFETIME).href
        answer = requests.get(href, headers={"Range": "bytes=5-9"}, timeout=30)
        assert (answer.status_code, answer.content) == (206, RIGHT[5:10])

    @pytest.mark.parametrize(("old", "new"), [("text%2Fcsv", "text%2Fhtml"), ("attachment", "inline")])
    def test_what_a_download_says_cannot_be_changed(self, store: SigningStore, key: str, signed, old, new):
        send(signed, RIGHT)
        href = store.sign_get(key, "text/csv", "attachment", LIFETIME).href
        assert old in href
        assert requests.get(href.replace(old, new), timeout=30).status_code == 403

    def test_a_permission_to_read_is_none_to_write(self, store: SigningStore, key: str, signed: Signed):
        href = store.sign_get(key, "text/csv", "attachment", LIFETIME).href
        assert requests.put(href, data=RIGHT, headers=signed.header, timeout=30).status_code == 403
        assert store.stat(key) is None

    def test_signing_asks_nobody(self, store: SigningStore, key: str, monkeypatch):
        store.sign_put(key, oid_of(RIGHT), 1, LIFETIME)
        monkeypatch.setattr("socket.socket.connect", None)
        assert len({store.sign_put(key, oid_of(RIGHT), size, LIFETIME).href for size in range(100)}) == 100
