"""Bytes come in, are checked, and become an object that the dataset has.

One rule holds everything together: a row in ``object`` means bytes that are present and were hashed, by us or
by the store, and only `verify` writes such a row.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import SERVER_KEYS, ObjectStore, Readable, own_key
from ckanext.external_storage.transfer import quota, standing, uploads
from ckanext.external_storage.transfer.dead_keys import bury, is_dead
from ckanext.external_storage.transfer.links import link
from ckanext.external_storage.transfer.uploads import Upload


def receive(engine: sa.Engine, store: ObjectStore, upload: Upload, source: Readable, now: datetime) -> None:
    """Take in all bytes of an upload with a declared oid, checked while they stream; create object and link.

    Nothing refers to the bytes before the one transaction at the end. Wrong bytes leave the upload
    open and the store as it was. Safe to repeat, and safe to run twice at once.

    Raises WrongSize, ChecksumMismatch, UploadNotFound, QuotaExceeded, StoreFull,
    StoreUnavailable.
    """
    assert upload.oid is not None
    store.put(upload.key, source, upload.size, upload.oid)
    keep(engine, store, upload, upload.oid, now)


def keep(
    engine: sa.Engine, store: ObjectStore, upload: Upload, oid: str, now: datetime | None = None
) -> None:
    """Bytes that are in the store under the upload's key, and were checked to be *oid*, become its object.

    Raises UploadNotFound if the upload has ended meanwhile; its bytes go then. Raises QuotaExceeded, if the
    limit was lowered or the dataset moved meanwhile; the upload is as it was then.
    """
    with engine.begin() as connection:
        kept = verify(connection, upload, oid, now or standing.database_now(connection))
        dead = kept != upload.key and is_dead(connection, upload.key)
    if dead:
        store.delete(upload.key)
    if kept is None:
        raise errors.UploadNotFound


def verify(connection: sa.Connection, upload: Upload, oid: str, now: datetime) -> str | None:
    """``open | received → verified``: the key the object is kept under, or None if the upload has ended.

    It ends here, as rejected, if its user or its dataset is not what it was (`standing.lost`).
    """
    table = model.upload
    row = connection.execute(sa.select(table).where(table.c.id == upload.id).with_for_update()).first()
    if row is None or row.state not in ("open", "received", "verified"):
        bury(connection, [upload.key], now)
        return None
    if row.state != "verified":
        reason = standing.lost(connection, row.user_id, row.package_id, row.owner_org, row.created)
        if reason:
            uploads.reject(connection, upload.id, reason, now)
            return None
    copy = own_key(upload.key, oid)
    found = {"size": upload.size, "key": copy or upload.key, "hashed": True}
    worse = sa.not_(model.object.c.hashed)
    if not copy:
        # The site has a store of its own now: copies at the server that it had before are out of reach.
        worse = sa.or_(worse, model.object.c.key.startswith(SERVER_KEYS, autoescape=True))
    # Someone else's copy is as good as ours; ours goes. FOR SHARE keeps it until our link stands. It may
    # just be collected as garbage: once that has happened, the next turn puts ours in its place.
    kept = None
    while kept is None:
        connection.execute(
            insert(model.object)
            .values(oid=oid, **found)
            .on_conflict_do_update(index_elements=["oid"], set_=found, where=worse)
        )
        kept = connection.execute(
            sa.select(model.object.c.key).where(model.object.c.oid == oid).with_for_update(read=True)
        ).scalar_one_or_none()
    if copy:  # under its own name, whoever else has the same bytes
        kept = upload.key
    elif kept != upload.key:
        bury(connection, [upload.key], now)
    if row.package_id is not None:
        link(connection, oid, row.package_id, upload.id, copy)
    connection.execute(
        table.update()
        .values(state="verified", oid=oid)
        .where(table.c.id == upload.id, table.c.state != "verified")
    )
    if row.state != "verified":
        quota.check(connection, row.package_id, row.owner_org, upload.size)
    return kept
