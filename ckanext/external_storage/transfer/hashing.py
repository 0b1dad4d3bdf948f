"""Bytes that were received without a hash are read and hashed, and become an object or are rejected.

One worker at a time does it: a lease in the upload's row says so, and is renewed while the bytes are read.
What a worker that died had read is read again (docs/decisions/0012).
"""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from typing import IO

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore
from ckanext.external_storage.transfer import receiving, standing, uploads
from ckanext.external_storage.transfer.settling import settled
from ckanext.external_storage.transfer.uploads import Upload

log = logging.getLogger(__name__)

#: After this long without a word from its worker, an upload is anybody's to check.
LEASE = timedelta(minutes=2)
ATTEMPTS = 5
#: Bytes between two renewals of the lease: seconds, also on a slow store.
STRIDE = 64 << 20
_READ = 1 << 20


def check(engine: sa.Engine, store: ObjectStore, upload_id: str) -> str | None:
    """Hash the bytes of a received upload: ``received → verified | rejected``; the state, None if it is gone.

    Nothing is done, and the state is ``received``, while another worker is at it. Raises StoreUnavailable; it
    may be tried again then, `ATTEMPTS` times in all.
    """
    upload = _lease(engine, upload_id)
    if upload is None:
        return _state(engine, upload_id)
    try:
        sha256 = _hash(engine, store, upload)
    except _Unfit as unfit:
        _reject(engine, upload, str(unfit))
        return _state(engine, upload_id)
    except errors.StorageError:
        _let_go(engine, upload)
        raise
    if sha256 is None:
        return _state(engine, upload_id)
    if upload.oid not in (None, sha256):
        _reject(engine, upload, f"The bytes have sha256 {sha256}, not {upload.oid}.")
        return _state(engine, upload_id)
    if upload.transfer == "tus" and isinstance(store, AppendingStore):
        store.seal(upload.key, upload.size, sha256)
    with engine.connect() as connection:
        now = standing.database_now(connection)
    try:
        receiving.keep(engine, store, upload, sha256, now)
    except errors.QuotaExceeded as error:
        _reject(engine, upload, str(error))
    except errors.UploadNotFound:
        log.info("Upload %s was checked, but is not wanted any more", upload_id)
    return _state(engine, upload_id)


def waiting(connection: sa.Connection) -> list[tuple[str, int]]:
    """Id and size (bytes) of received uploads that no worker is at."""
    table = model.upload
    rows = connection.execute(
        sa.select(table.c.id, table.c.declared_size)
        .where(table.c.state == "received", _free())
        .order_by(table.c.created)
    )
    return [(row.id, row.declared_size) for row in rows]


def must_wait(engine: sa.Engine, upload_id: str) -> int | None:
    """Size (bytes) of a received upload whose bytes somebody can still write; None for any other."""
    table = model.upload
    with engine.connect() as connection:
        found = sa.select(table.c.declared_size).where(
            table.c.id == upload_id, table.c.state == "received", sa.not_(settled())
        )
        return connection.execute(found).scalar()


class _Unfit(Exception):
    """The bytes must be rejected; the text is a sentence for the user."""


def _hash(engine: sa.Engine, store: ObjectStore, upload: Upload) -> str | None:
    """sha256 of the bytes; None if the upload is not this worker's to check any more."""
    with _opened(store, upload) as file:
        digest, done, noted = hashlib.sha256(), 0, 0
        while piece := _read(file):
            digest.update(piece)
            done += len(piece)
            if done - noted >= STRIDE:
                noted = done
                if not _renew(engine, upload, done):
                    return None
    if done != upload.size:
        raise _Unfit(f"{upload.size} bytes were declared, {done} arrived.")
    return digest.hexdigest() if _renew(engine, upload, done) else None


def _opened(store: ObjectStore, upload: Upload) -> IO[bytes]:
    if upload.transfer == "tus" and isinstance(store, AppendingStore):
        return store.open_unsealed(upload.key)
    found = store.stat(upload.key)
    if found is None:
        raise _Unfit("The bytes are not in the file store any more.")
    if found.defect:
        raise _Unfit(found.defect)
    if upload.etag is not None and found.etag != upload.etag:
        raise _Unfit("The bytes were changed after the upload was complete.")
    file = store.open(upload.key)
    # What was opened is one state of the object; is it the one that was looked at?
    again = store.stat(upload.key)
    if again is None or again.etag != found.etag:
        file.close()
        raise _Unfit("The bytes were changed after the upload was complete.")
    return file


def _read(file: IO[bytes]) -> bytes:
    try:
        return file.read(_READ)
    except OSError as error:
        raise errors.StoreUnavailable from error


def _free() -> sa.ColumnElement[bool]:
    table = model.upload
    return sa.or_(table.c.lease_until.is_(None), table.c.lease_until < sa.func.now())


def _lease(engine: sa.Engine, upload_id: str) -> Upload | None:
    table = model.upload
    with engine.begin() as connection:
        row = connection.execute(
            table.update()
            .values(lease_until=sa.func.now() + LEASE, attempts=table.c.attempts + 1, hashed=0)
            .where(table.c.id == upload_id, table.c.state == "received", _free(), settled())
            .returning(*table.c)
        ).first()
        if row is None:
            return None
        if row.attempts > ATTEMPTS:
            log.error("Upload %s could not be checked %s times and was rejected", upload_id, ATTEMPTS)
            reason = f"The file could not be checked, in {ATTEMPTS} attempts."
            uploads.reject(connection, upload_id, reason, standing.database_now(connection))
            return None
    return uploads.from_row(row)


def _renew(engine: sa.Engine, upload: Upload, hashed: int) -> bool:
    table = model.upload
    mine = sa.and_(table.c.id == upload.id, table.c.state == "received", table.c.attempts == upload.attempts)
    with engine.begin() as connection:
        renewed = table.update().values(lease_until=sa.func.now() + LEASE, hashed=hashed).where(mine)
        return connection.execute(renewed).rowcount > 0


def _let_go(engine: sa.Engine, upload: Upload) -> None:
    """The store failed; whoever comes next need not wait for the lease."""
    table = model.upload
    with engine.begin() as connection:
        connection.execute(table.update().values(lease_until=None).where(table.c.id == upload.id))


def _reject(engine: sa.Engine, upload: Upload, reason: str) -> None:
    log.warning("Upload %s was rejected: %s", upload.id, reason)
    with engine.begin() as connection:
        uploads.reject(connection, upload.id, reason, standing.database_now(connection))


def _state(engine: sa.Engine, upload_id: str) -> str | None:
    with engine.connect() as connection:
        return connection.execute(
            sa.select(model.upload.c.state).where(model.upload.c.id == upload_id)
        ).scalar()
