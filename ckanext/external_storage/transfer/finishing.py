"""All bytes of an upload are there: it becomes an object at once, or waits until they have been hashed.

Uploads in pieces (tus) end here with their last byte, uploads at the store when their client says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import (
    AppendingStore,
    ObjectStore,
    Readable,
    SigningStore,
    Stat,
)
from ckanext.external_storage.transfer import receiving, standing, uploads
from ckanext.external_storage.transfer.uploads import Upload

#: Has received bytes checked in the background: upload id, size in bytes.
Later = Callable[[str, int], None]


class Progress(NamedTuple):
    """``offset``: bytes that are there. ``expires_at``: when the upload ends if nothing more comes; None if
    it has ended."""

    offset: int
    expires_at: datetime | None


def append(
    engine: sa.Engine,
    store: AppendingStore,
    upload: Upload,
    offset: int,
    source: Readable,
    length: int,
    later: Later,
) -> Progress:
    """Add *length* bytes at *offset*; how far it is then. With the last one, the upload is finished.

    Wrong bytes leave the upload open and empty. No transaction is open while bytes come.

    Raises WrongOffset, WrongSize, UploadBusy, UploadOver, ChecksumMismatch, StoreFull, StoreUnavailable.
    """
    if offset + length > upload.size:
        raise errors.WrongSize(upload.size, offset + length)
    try:
        done = store.append(upload.key, offset, source, length, upload.size)
    finally:
        with engine.begin() as connection:  # also after an error: bytes may have come before it
            expires_at = uploads.progressed(connection, upload.id)
    if done.offset < upload.size:
        return Progress(done.offset, expires_at)
    if done.sha256 is None:
        _receive(engine, upload, None, later)
    else:
        _keep_appended(engine, store, upload, done.sha256)
    return Progress(done.offset, None)


def complete(engine: sa.Engine, store: ObjectStore, upload: Upload, later: Later) -> Upload:
    """Finish an upload whose client says that all bytes are sent; what it is now: verified or received.

    Safe to repeat. Raises BytesMissing, UploadRejected, UploadOver, UploadBusy, StoreUnavailable.
    """
    if upload.state == "open":
        _finish(engine, store, upload, later)
        with engine.connect() as connection:
            upload = uploads.get(connection, upload.id)
    if upload.state == "rejected":
        raise errors.UploadRejected(upload.reason or "")
    if upload.state == "expired":
        raise errors.UploadOver(upload.reason)
    return upload


def arrived(store: ObjectStore, upload: Upload) -> Stat | None:
    """What is in the store under the upload's key, if it is all there; parts that can be joined are.

    Raises BytesMissing, StoreUnavailable.
    """
    if upload.transfer == "tus" and isinstance(store, AppendingStore):
        offset = store.offset(upload.key)
        if offset < upload.size:
            raise errors.BytesMissing(upload.size, offset)
        return None
    found = None
    if upload.transfer == "multipart" and isinstance(store, SigningStore) and upload.store_ref:
        try:
            found = store.complete_multipart(upload.key, upload.store_ref, upload.size)
        except errors.WrongSize as error:
            raise errors.BytesMissing(upload.size, error.received) from None
        except errors.UploadNotFound:  # joined before, and the answer was lost; or the store gave up
            pass
    found = found or store.stat(upload.key)
    if found is None:
        raise errors.BytesMissing(upload.size, 0)
    return found


def arrived_so_far(store: ObjectStore, upload: Upload) -> int:
    """Bytes that are there already. Raises StoreUnavailable."""
    if upload.state in ("received", "verified"):
        return upload.size
    if upload.state == "open" and upload.transfer == "tus" and isinstance(store, AppendingStore):
        return store.offset(upload.key)
    if upload.state == "open" and upload.store_ref is not None and isinstance(store, SigningStore):
        try:
            return sum(part.size for part in store.list_parts(upload.key, upload.store_ref))
        except errors.UploadNotFound:  # joined already: `complete` finds out
            return upload.size
    return 0


def _finish(engine: sa.Engine, store: ObjectStore, upload: Upload, later: Later) -> None:
    found = arrived(store, upload)
    if found is None:  # appended; a process died between the last byte and the transaction
        _receive(engine, upload, None, later)
        return
    reason = found.defect
    if found.size != upload.size:
        reason = f"{upload.size} bytes were declared, {found.size} arrived."
    elif found.sha256 is not None and upload.oid is not None and found.sha256 != upload.oid:
        reason = f"The bytes have sha256 {found.sha256}, not {upload.oid}."
    if reason:
        with engine.begin() as connection:
            uploads.reject(connection, upload.id, reason, standing.database_now(connection))
    elif found.sha256 is not None:
        _keep(engine, store, upload, found.sha256)
    else:
        _receive(engine, upload, found.etag, later)


def _keep_appended(engine: sa.Engine, store: AppendingStore, upload: Upload, sha256: str) -> None:
    if upload.oid not in (None, sha256):
        store.delete(upload.key)
        raise errors.ChecksumMismatch(upload.oid or "", sha256)
    store.seal(upload.key, upload.size, sha256)
    _keep(engine, store, upload, sha256)


def _keep(engine: sa.Engine, store: ObjectStore, upload: Upload, sha256: str) -> None:
    """Raises UploadOver."""
    try:
        receiving.keep(engine, store, upload, sha256)
    except errors.UploadNotFound:
        raise errors.UploadOver(_reason(engine, upload.id)) from None


def _receive(engine: sa.Engine, upload: Upload, etag: str | None, later: Later) -> None:
    with engine.begin() as connection:
        if not uploads.received(connection, upload.id, etag):
            return  # somebody else was first, or it has ended: the caller looks
    later(upload.id, upload.size)


def _reason(engine: sa.Engine, upload_id: str) -> str | None:
    with engine.connect() as connection:
        try:
            return uploads.get(connection, upload_id).reason
        except errors.UploadNotFound:
            return None
