"""What an object store must offer. An adapter is one module here and one line in ``registry.STORES``.

Every store is an `ObjectStore`. What else it can do it says by its type: an `AppendingStore` takes a file in
pieces through us (tus), a `SigningStore` lets clients send and fetch by themselves (signed URLs, multipart),
a `ServerStore` is an LFS server that decides itself how that is done.
Foreign exceptions end in the adapter: every method raises only `errors.StorageError`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Protocol, runtime_checkable

from ckanext.external_storage import errors

_KEY = re.compile(r"objects/(_/|[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{64}\.)[0-9a-f-]{36}")
#: How the keys of a `ServerStore` begin, and no others.
SERVER_KEYS = "server/"


class Readable(Protocol):
    """A request body: ``read(n)`` gives at most *n* bytes, ``b""`` at the end."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Stat:
    """What the store says of an object. ``size`` in bytes; ``etag`` changes when the bytes do.

    ``sha256``: lower-case hex, only where the store itself checked it over the whole object on arrival.
    ``defect``: why it must be rejected whatever its bytes are, as a sentence for the user; None if nothing
    is wrong.
    """

    size: int
    etag: str
    sha256: str | None = None
    defect: str | None = None


@dataclass(frozen=True)
class Appended:
    """``offset``: bytes that are durable now. ``sha256`` of all of them (lower-case hex), where it is known
    without reading them again."""

    offset: int
    sha256: str | None = None


@dataclass(frozen=True)
class Signed:
    """A request that a client may send to the store itself until ``expires_at``. A secret: never logged.

    ``header`` must be sent exactly as it is.
    """

    href: str
    header: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True)
class Part:
    """A part that has arrived; ``number`` from 1, ``size`` in bytes."""

    number: int
    size: int
    etag: str


class ObjectStore(Protocol):
    """Immutable bytes under server-chosen keys (`key_for`); no name given by a client is ever a key."""

    def put(self, key: str, source: Readable, size: int, oid: str | None) -> str:
        """Store exactly *size* bytes under *key* and tell their sha256 (lower-case hex): *oid* if given.

        *source* is read once. All or nothing: the object appears under *key* complete and durable, or not
        at all.
        Putting the same object under the same key again changes nothing.

        Raises WrongSize, ChecksumMismatch, StoreFull, StoreUnavailable.
        """
        ...

    def open(self, key: str) -> IO[bytes]:
        """Open for reading; seekable, and bytes that are not read are not fetched.

        The bytes are those of one state of the object, whatever happens to it meanwhile. Raises
        StoreUnavailable if it cannot be read.
        """
        ...

    def stat(self, key: str) -> Stat | None:
        """What is there; None if nothing is. Raises StoreUnavailable."""
        ...

    def delete(self, key: str) -> None:
        """Remove *key* and what was appended for it; a missing key is no error. Raises StoreUnavailable."""
        ...

    def delete_unfinished(self, older_than: datetime) -> int:
        """Remove what interrupted writes before *older_than* left behind; how many there were."""
        ...


@runtime_checkable
class AppendingStore(ObjectStore, Protocol):
    """Takes an object in pieces through us, and goes on where an interrupted one ended (tus)."""

    def offset(self, key: str) -> int:
        """Bytes that have arrived for *key* and are durable; 0 if none. Raises StoreUnavailable."""
        ...

    def append(self, key: str, offset: int, source: Readable, length: int, size: int) -> Appended:
        """Add at most *length* bytes of *source* at *offset* to an object of *size* bytes in the end.

        What arrived before a broken connection stays. One writer at a time.

        Raises WrongOffset (with the right one), UploadBusy, StoreFull, StoreUnavailable.
        """
        ...

    def seal(self, key: str, size: int, sha256: str) -> None:
        """Make the appended bytes the object under *key*. The caller has checked their *sha256*.

        Doing it again changes nothing. Raises WrongSize, StoreUnavailable.
        """
        ...

    def open_unsealed(self, key: str) -> IO[bytes]:
        """The appended bytes, for hashing. Raises StoreUnavailable."""
        ...


@runtime_checkable
class SigningStore(ObjectStore, Protocol):
    """Lets clients send to it and fetch from it, by signed requests that allow one thing each."""

    #: Bytes that one signed PUT may carry at most, and an object in all.
    put_limit: int
    object_limit: int

    def sign_put(self, key: str, oid: str, size: int, lifetime: timedelta) -> Signed:
        """One PUT of exactly these bytes: the store refuses any others, and a second one."""
        ...

    def sign_get(self, key: str, content_type: str, content_disposition: str, lifetime: timedelta) -> Signed:
        """A GET that answers with these headers, whatever was stored with the object."""
        ...

    def part_size(self, size: int) -> int:
        """Bytes of each part but the last, for an object of *size* bytes."""
        ...

    def begin_multipart(self, key: str) -> str:
        """Where the parts for *key* are collected: a reference that only the server ever sees."""
        ...

    def sign_part(self, key: str, store_ref: str, number: int, size: int, lifetime: timedelta) -> Signed: ...

    def list_parts(self, key: str, store_ref: str) -> list[Part]:
        """The parts that have arrived, by number. Raises UploadNotFound if they are not collected now."""
        ...

    def complete_multipart(self, key: str, store_ref: str, size: int) -> Stat:
        """Join the parts, whose sizes must add up to *size*. Safe to repeat when the answer was lost.

        Raises WrongSize, UploadNotFound, StoreUnavailable.
        """
        ...

    def abort_multipart(self, key: str, store_ref: str) -> None:
        """Forget all parts; none left is no error."""
        ...


@runtime_checkable
class ServerStore(ObjectStore, Protocol):
    """An LFS server of its own: keeps the bytes of each dataset apart, under names that it makes of the
    dataset and the sha256, and tells itself how they are sent and fetched.

    What it has may be anything until it was read and hashed, and can change while a client holds an action.
    """

    def key_of(self, package_id: str | None, oid: str | None, size: int, upload_id: str) -> str:
        """What `key_for` is for other stores: it holds what the server must be asked with."""
        ...

    def upload_action(self, key: str) -> Signed | None:
        """A PUT that brings the bytes; None if the server has some of that size. Raises StorageError."""
        ...

    def download_action(self, key: str, filename: str | None = None) -> Signed | None:
        """A GET of the bytes, whatever they are; None if there are none. Raises StorageError."""
        ...


def key_for(oid: str | None, upload_id: str) -> str:
    """The key of an upload's bytes, also while their sha256 is not known yet.

    Every upload has its own key, also for content that is stored already: a key that is never shared
    and never re-used can be written by its owner only, and tells nobody whether the content existed.
    """
    if oid is None:
        return f"objects/_/{upload_id}"
    return f"objects/{oid[:2]}/{oid[2:4]}/{oid}.{upload_id}"


def check_key(key: str) -> str:
    """*key* as it is. Keys come from our own database; this keeps a damaged row from naming anything else.

    Raises AtFormerServer.
    """
    if key.startswith(SERVER_KEYS):
        raise errors.AtFormerServer
    if not _KEY.fullmatch(key):
        raise ValueError(f"not a key of this store: {key!r}")
    return key


def read_from(source: Readable, count: int, size: int, left: int) -> bytes:
    """A client that goes away ends as WrongSize, so that it is not mistaken for a fault of the store."""
    try:
        return source.read(count)
    except OSError as error:
        raise errors.WrongSize(size, size - left) from error


def sha256_of(source: Readable) -> str:
    """Of all bytes that are left in it, in lower-case hex."""
    digest = hashlib.sha256()
    while chunk := source.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def key_maker(store: ObjectStore | None) -> Callable[[str | None, str | None, int, str], str]:
    """What makes the key of a new upload's bytes, of the kind that *store* has, of ``(package_id, oid, size,
    upload_id)``."""
    if isinstance(store, ServerStore):
        return store.key_of
    return lambda package_id, oid, size, upload_id: key_for(oid, upload_id)


def may_have(store: ObjectStore, key: str) -> bool:
    """False for what is at an external server that the site had before, or in the store before that: this one
    knows no such keys."""
    return key.startswith(SERVER_KEYS) == isinstance(store, ServerStore)


def own_key(key: str, oid: str) -> str | None:
    """The key of a dataset's own copy of *oid* after an upload under *key*; None in stores that keep one copy
    for all."""
    return key.replace("/_.", f"/{oid}.") if key.startswith(SERVER_KEYS) else None
