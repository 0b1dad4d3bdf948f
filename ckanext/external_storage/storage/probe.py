"""Does the store keep its promises? For administrators: writes, reads and deletes a few bytes of its own."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, runtime_checkable

import requests

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import ObjectStore, ServerStore, Signed, SigningStore, key_for

RIGHT = b"ckanext-publish: a probe, right"
WRONG = b"ckanext-publish: a probe, wrong"
LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """``what`` was found, as a sentence; ``to_do`` about it if it is not ``ok``."""

    name: str
    ok: bool
    what: str
    to_do: str = ""


@runtime_checkable
class Examinable(Protocol):
    """A store that knows more about itself."""

    def examine(self, origins: list[str]) -> list[Finding]:
        """``origins``: whose pages must be able to use it, as ``https://data.example``.

        Raises StorageError.
        """
        ...


def probe(store: ObjectStore, origins: list[str]) -> list[Finding]:
    """All that can be found out about *store*; raises nothing. Leaves nothing behind.

    ``origins``: whose pages must be able to use it, as ``https://data.example``. An LFS server is only asked
    how it would take a file: it would keep what is written.
    """
    checks: list[Callable[[], Iterator[Finding]]] = [
        lambda: _offer(store) if isinstance(store, ServerStore) else _round_trip(store)
    ]
    if isinstance(store, SigningStore):
        checks.append(lambda: _refusals(store))
    if isinstance(store, Examinable):
        checks.append(lambda: iter(store.examine(origins)))
    found: list[Finding] = []
    for check in checks:
        try:
            found.extend(check())
        except errors.StorageError as error:
            found.append(_failed(store, error))
            # What cannot be written or read at all is not worth more questions.
            break
    return found


def _failed(store: ObjectStore, error: errors.StorageError) -> Finding:
    cause = error.__cause__
    why = f" ({type(cause).__name__}: {cause})" if cause is not None else ""
    advice = {
        errors.StoreDenied: "Check the credentials and their rights; the documentation lists those needed.",
        errors.StoreFull: "Make room, or raise the quota.",
    }
    if isinstance(store, ServerStore):
        to_do = "Check ckanext.external_storage.storage_service_url, and whether that server runs."
        if isinstance(error, (errors.ServerKeyMissing, errors.ServerRefused)):
            to_do = "Until then no file can be sent or read."  # the rest is said
        return Finding("offer", False, f"The file server was asked how it takes a file: {error}{why}", to_do)
    elsewhere = "Check the store's address and bucket, and that it can be reached from this machine."
    if isinstance(cause, OSError):
        elsewhere = "See that the directory is there, on a disk that can be written, and is CKAN's own."
    return Finding(
        "round trip",
        False,
        f"A file could not be stored and read back: {error}{why}",
        advice.get(type(error), elsewhere),
    )


def _offer(store: ServerStore) -> Iterator[Finding]:
    """The server answers, and believes CKAN's key."""
    dataset = str(uuid.uuid4())
    store.upload_action(store.key_of(dataset, _oid(RIGHT), len(RIGHT), str(uuid.uuid4())))
    yield Finding("offer", True, "The file server takes files.")


def _oid(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _new_key() -> str:
    return key_for(None, str(uuid.uuid4()))


def _round_trip(store: ObjectStore) -> Iterator[Finding]:
    key = _new_key()
    try:
        store.put(key, io.BytesIO(RIGHT), len(RIGHT), _oid(RIGHT))
        with store.open(key) as file:
            same = file.read() == RIGHT
    finally:
        store.delete(key)
    yield _finding(
        "round trip",
        same,
        "Bytes can be written, read and deleted.",
        "Other bytes came back than were written.",
        "Do not use this store.",
    )
    yield _finding(
        "deletion",
        store.stat(key) is None,
        "What is deleted is gone.",
        "What was deleted is still there.",
        "Look for a rule of the store that keeps deleted bytes; what must be erased would stay.",
    )


def _finding(name: str, ok: bool, good: str, bad: str, to_do: str) -> Finding:
    return Finding(name, ok, good) if ok else Finding(name, False, bad, to_do)


def _refusals(store: SigningStore) -> Iterator[Finding]:
    """What the signed requests promise, tried the way a client would."""
    do = "Use a store that checks what it takes, or a local one: clients send to this one directly."
    key = _new_key()
    signed = store.sign_put(key, _oid(RIGHT), len(RIGHT), LIFETIME)
    try:
        try:
            wrong = _send(signed, WRONG)
        except requests.RequestException as error:
            yield Finding(
                "signed requests",
                False,
                f"The address that clients use does not answer from here: {type(error).__name__}.",
                "Check the store's public address. If only this machine cannot reach it, nothing is wrong.",
            )
            return
        yield _finding(
            "wrong checksum",
            wrong,
            "Other bytes than were announced are refused.",
            "It takes other bytes.",
            do,
        )
        yield _finding(
            "longer body",
            _send(signed, RIGHT + b"+"),
            "A longer body is refused.",
            "It takes a longer body.",
            do,
        )
        if _send(signed, RIGHT):
            yield Finding(
                "signed requests",
                False,
                "The right bytes are refused, too.",
                "Compare this machine's clock, the region and the public address with the store's; a proxy"
                " before the store must leave Host, path and query as they are.",
            )
            return
        yield _finding(
            "second PUT",
            _send(signed, RIGHT),
            "What is written cannot be written over.",
            "It can be written over.",
            do,
        )
    finally:
        store.delete(key)


def _send(signed: Signed, data: bytes) -> bool:
    """Whether the store refused it."""
    return requests.put(signed.href, data=data, headers=signed.header, timeout=30).status_code >= 400
