"""What an object store must offer. An adapter is one module here and one line in ``config.STORES``."""

from __future__ import annotations

from datetime import datetime
from typing import IO, Protocol


class Readable(Protocol):
    """A request body: ``read(n)`` gives at most *n* bytes, ``b""`` at the end."""

    def read(self, size: int = -1, /) -> bytes: ...


class ObjectStore(Protocol):
    """Immutable bytes under server-chosen keys (`key_for`); no name given by a client is ever a key.

    Foreign exceptions end here: every method raises only `errors.StorageError`.
    """

    def put(self, key: str, source: Readable, size: int, oid: str) -> None:
        """Store exactly *size* bytes that hash to *oid* (sha256, lower-case hex) under *key*.

        All or nothing: the object appears under *key* complete and durable, or not at all.
        Putting the same object under the same key again changes nothing.

        Raises WrongSize, ChecksumMismatch, StoreFull, StoreUnavailable.
        """
        ...

    def open(self, key: str) -> IO[bytes]:
        """Open for reading; seekable. Raises StoreUnavailable if it cannot be read."""
        ...

    def delete(self, key: str) -> None:
        """Remove *key*; a missing key is no error. Raises StoreUnavailable."""
        ...

    def delete_unfinished(self, older_than: datetime) -> int:
        """Remove what interrupted writes before *older_than* left behind; how many there were."""
        ...


def key_for(oid: str, upload_id: str) -> str:
    """The key of an upload's bytes.

    Every upload has its own key, also for content that is stored already: a key that is never shared
    and never re-used can be written by its owner only, and tells nobody whether the content existed.
    """
    return f"objects/{oid[:2]}/{oid[2:4]}/{oid}.{upload_id}"
