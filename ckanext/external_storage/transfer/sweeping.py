"""The work of every hour: what nobody finished ends, and what nobody needs goes from the store."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, SigningStore, may_have
from ckanext.external_storage.transfer import finishing, hashing, uploads
from ckanext.external_storage.transfer.finishing import Later
from ckanext.external_storage.transfer.uploads import LIFETIME

log = logging.getLogger(__name__)

#: How long it can be asked what became of an upload.
REMEMBERED = timedelta(days=30)


def _nobody(upload_id: str, size: int) -> None:
    """Those that wait stay as they are."""


def sweep(engine: sa.Engine, store: ObjectStore, now: datetime, later: Later = _nobody) -> int:
    """End uploads whose time is over and delete dead bytes; how many keys were deleted for good.

    Whatever turns out to be complete is received instead, and all that is received and nobody is at is given
    to *later* (again). Call it every hour or so. Interrupted anywhere, the next call goes on where this one
    stopped.

    Raises StoreUnavailable, after all has been done that could be.
    """
    failure = _end_overdue(engine, store, now)
    with engine.connect() as connection:
        waiting = hashing.waiting(connection)
    for upload_id, size in waiting:
        later(upload_id, size)
    gone = []
    with engine.connect() as connection:
        dead = connection.execute(sa.select(model.dead_key)).all()
    for row in (row for row in dead if may_have(store, row.key)):  # others wait until the site has theirs
        try:
            if row.store_ref is not None and isinstance(store, SigningStore):
                store.abort_multipart(row.key, row.store_ref)
            store.delete(row.key)
        except errors.StorageError as error:
            failure = error
            continue
        if row.not_before <= now:
            gone.append(row.key)
    with engine.begin() as connection:
        connection.execute(model.dead_key.delete().where(model.dead_key.c.key.in_(gone)))
        forgotten = model.upload.delete().where(
            model.upload.c.state.in_(("verified", "rejected", "expired")),
            model.upload.c.expires_at < now - REMEMBERED,
        )
        connection.execute(forgotten)
    if failure is not None:
        raise failure
    store.delete_unfinished(_oldest(engine, now))
    return len(gone)


def _oldest(engine: sa.Engine, now: datetime) -> datetime:
    """Unfinished writes in the store from before this are nobody's; an upload in parts may go on for days."""
    table = model.upload
    in_parts = sa.and_(table.c.state == "open", table.c.transfer == "multipart")
    with engine.connect() as connection:
        begun = connection.execute(sa.select(sa.func.min(table.c.created)).where(in_parts)).scalar()
    return min(now - LIFETIME, begun or now)


def _end_overdue(engine: sa.Engine, store: ObjectStore, now: datetime) -> errors.StorageError | None:
    """``open → received | expired`` for those whose time is over; what went wrong, if something did."""
    table = model.upload
    with engine.connect() as connection:
        overdue = connection.execute(
            sa.select(table).where(table.c.state == "open", table.c.expires_at <= now)
        ).all()
    failure = None
    for row in overdue:
        upload = uploads.from_row(row)
        try:
            # A stream is never there without its transaction, but for a crash between the two: nobody
            # has been told that it is there, and nobody has asked for a day.
            complete = upload.transfer != "stream" and may_have(store, upload.key)
            found = finishing.arrived(store, upload) if complete else None
        except errors.BytesMissing:
            found, complete = None, False
        except errors.StorageError as error:
            log.warning("Upload %s cannot be looked for in the store: %s", upload.id, type(error).__name__)
            failure = error
            continue
        with engine.begin() as connection:
            if complete:
                uploads.received(connection, upload.id, found.etag if found else None)
            else:
                uploads.expire(connection, upload.id, now)
    return failure
