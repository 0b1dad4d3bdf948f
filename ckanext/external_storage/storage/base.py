"""What an object store must offer. An adapter is one module here and one line in ``config.STORES``.

Every store is an `ObjectStore`. What else it can do it says by its type: an `AppendingStore` takes a file in
pieces through us (tus), a `SigningStore` lets clients send and fetch by themselves (signed URLs, multipart).
Foreign exceptions end in the adapter: every method raises only `errors.StorageError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, Protocol, runtime_checkable


class Readable(Protocol):
    """A request body: ``read(n)`` gives at most *n* bytes, ``b""`` at the end."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass(frozen=True)
class Stat:
    """What the store says of an object. ``size`` in bytes; ``etag`` changes when the bytes do.

    ``sha256``: lower-case hex, only where the store itself checked it over the whole object on arrival.
    """

    size: int
    etag: str
    sha256: str | None = None


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


def key_for(oid: str | None, upload_id: str) -> str:
    """The key of an upload's bytes, also while their sha256 is not known yet.

    Every upload has its own key, also for content that is stored already: a key that is never shared
    and never re-used can be written by its owner only, and tells nobody whether the content existed.
    """
    if oid is None:
        return f"objects/_/{upload_id}"
    return f"objects/{oid[:2]}/{oid[2:4]}/{oid}.{upload_id}"
