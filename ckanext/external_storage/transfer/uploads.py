"""Uploads: opened, received, verified, swept. And links: which dataset may use which bytes.

One rule holds everything together: a row in ``object`` means bytes that are present and were hashed,
and only `receive` writes such a row. All functions take a SQLAlchemy connection inside a transaction,
except `receive` and `sweep`, which move bytes and keep no transaction open while they do.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, Readable, key_for

#: An upload without bytes ends after a day.
LIFETIME = timedelta(hours=24)
#: A dead key is deleted at once, and once more after this: a writer that was under way may still
#: have brought it back.
SECOND_DELETE = timedelta(hours=24)


@dataclass(frozen=True)
class Upload:
    """One permission to bring one object's bytes into one dataset. ``size`` is in bytes."""

    id: str
    package_id: str
    user_id: str
    oid: str
    size: int
    key: str


@dataclass(frozen=True)
class StoredObject:
    """Bytes that are there and were hashed. ``size`` is in bytes."""

    oid: str
    size: int
    key: str


def linked(connection: sa.Connection, package_id: str, oids: Iterable[str]) -> dict[str, StoredObject]:
    """Those of *oids* that the dataset has brought itself; what other datasets have is never told."""
    rows = connection.execute(
        sa.select(model.object)
        .join(model.link, model.link.c.oid == model.object.c.oid)
        .where(model.link.c.package_id == package_id, model.link.c.oid.in_(list(oids)))
    )
    return {row.oid: StoredObject(row.oid, row.size, row.key) for row in rows}


def use(connection: sa.Connection, package_id: str, oids: Iterable[str]) -> dict[str, int]:
    """Say that a save is about to refer to *oids*: oid → size in bytes of those that are linked.

    The update locks the links, so that nothing can remove them before the save has committed.
    """
    rows = connection.execute(
        model.link.update()
        .values(used_at=sa.func.now())
        .where(
            model.link.c.package_id == package_id,
            model.link.c.oid.in_(list(oids)),
            model.object.c.oid == model.link.c.oid,
        )
        .returning(model.link.c.oid, model.object.c.size)
    )
    return {row.oid: row.size for row in rows}


def open_uploads(
    connection: sa.Connection, user_id: str, package_id: str, wanted: Mapping[str, int], now: datetime
) -> dict[str, Upload]:
    """An open upload for each oid → size (bytes) in *wanted*: the one of an earlier call, or a new one."""
    if not wanted:
        return {}
    new = []
    for oid, size in wanted.items():
        upload_id = str(uuid.uuid4())
        new.append(
            {
                "id": upload_id,
                "package_id": package_id,
                "user_id": user_id,
                "declared_oid": oid,
                "declared_size": size,
                "key": key_for(oid, upload_id),
                "state": "open",
                "expires_at": now + LIFETIME,
            }
        )
    table = model.upload
    _expire(connection, sa.and_(table.c.user_id == user_id, table.c.package_id == package_id), now)
    connection.execute(
        insert(table).on_conflict_do_nothing(
            index_elements=["user_id", "package_id", "declared_oid", "declared_size"],
            index_where=sa.text("state = 'open'"),  # no parameter: many rows go in one statement
        ),
        new,
    )
    rows = connection.execute(
        sa.select(table).where(
            table.c.user_id == user_id,
            table.c.package_id == package_id,
            table.c.state == "open",
            sa.tuple_(table.c.declared_oid, table.c.declared_size).in_(list(wanted.items())),
        )
    )
    return {row.declared_oid: _upload(row) for row in rows}


def find_upload(
    connection: sa.Connection, user_id: str, package_id: str, oid: str, size: int, now: datetime
) -> Upload:
    """The user's open upload of *oid*, else the latest verified one (a PUT may be repeated).

    Raises UploadNotFound.
    """
    table = model.upload
    row = connection.execute(
        sa.select(table)
        .where(
            table.c.user_id == user_id,
            table.c.package_id == package_id,
            table.c.declared_oid == oid,
            table.c.declared_size == size,
            sa.or_(
                table.c.state == "verified",
                sa.and_(table.c.state == "open", table.c.expires_at > now),
            ),
        )
        .order_by(table.c.state, table.c.created.desc())  # "open" sorts before "verified"
        .limit(1)
    ).first()
    if row is None:
        raise errors.UploadNotFound
    return _upload(row)


def receive(engine: sa.Engine, store: ObjectStore, upload: Upload, source: Readable, now: datetime) -> None:
    """Take the bytes in, check them while they stream, then create object and link.

    Nothing refers to the bytes before the one transaction at the end. Wrong bytes leave the upload
    open and the store as it was. Safe to repeat, and safe to run twice at once.

    Raises WrongSize, ChecksumMismatch, UploadNotFound, StoreFull, StoreUnavailable.
    """
    store.put(upload.key, source, upload.size, upload.oid)
    with engine.begin() as connection:
        kept = _verify(connection, upload, now)
    if kept != upload.key:
        store.delete(upload.key)
    if kept is None:
        raise errors.UploadNotFound


def _verify(connection: sa.Connection, upload: Upload, now: datetime) -> str | None:
    """``open → verified``: the key under which the object is kept, or None if the upload has ended."""
    table = model.upload
    state = connection.execute(
        sa.select(table.c.state).where(table.c.id == upload.id).with_for_update()
    ).scalar()
    if state not in ("open", "verified"):
        bury(connection, [upload.key], now)
        return None
    connection.execute(
        insert(model.object)
        .values(oid=upload.oid, size=upload.size, key=upload.key)
        .on_conflict_do_nothing(index_elements=["oid"])
    )
    # FOR SHARE keeps the object until our link stands. Someone else's copy is as good as ours; ours goes.
    kept = connection.execute(
        sa.select(model.object.c.key).where(model.object.c.oid == upload.oid).with_for_update(read=True)
    ).scalar_one()
    if kept != upload.key:
        bury(connection, [upload.key], now)
    new = insert(model.link).values(oid=upload.oid, package_id=upload.package_id, upload_id=upload.id)
    connection.execute(
        new.on_conflict_do_update(index_elements=["oid", "package_id"], set_={"used_at": sa.func.now()})
    )
    connection.execute(
        table.update()
        .values(state="verified", oid=upload.oid)
        .where(table.c.id == upload.id, table.c.state == "open")
    )
    return kept


def bury(connection: sa.Connection, keys: Iterable[str], now: datetime) -> None:
    """Put *keys* on the list of what must go from the store."""
    rows = [{"key": key, "not_before": now + SECOND_DELETE} for key in keys]
    if rows:
        connection.execute(insert(model.dead_key).on_conflict_do_nothing(), rows)


def forget_dataset(connection: sa.Connection, package_id: str, now: datetime) -> None:
    """A purged dataset owns nothing any more: one re-created with the same id must not inherit bytes."""
    connection.execute(model.link.delete().where(model.link.c.package_id == package_id))
    keys = connection.execute(
        model.upload.delete()
        .where(model.upload.c.package_id == package_id)
        .returning(model.upload.c.key, model.upload.c.state)
    )
    bury(connection, [row.key for row in keys if row.state == "open"], now)


def sweep(engine: sa.Engine, store: ObjectStore, now: datetime) -> int:
    """End uploads whose time is over and delete dead bytes; how many keys were deleted for good.

    Call it every hour or so. Interrupted anywhere, the next call goes on where this one stopped.
    """
    with engine.begin() as connection:
        _expire(connection, sa.true(), now)
    with engine.connect() as connection:
        dead = connection.execute(sa.select(model.dead_key)).all()
    for row in dead:
        store.delete(row.key)
    gone = [row.key for row in dead if row.not_before <= now]
    with engine.begin() as connection:
        connection.execute(model.dead_key.delete().where(model.dead_key.c.key.in_(gone)))
    store.delete_unfinished(now - LIFETIME)
    return len(gone)


def _expire(connection: sa.Connection, whose: sa.ColumnElement[bool], now: datetime) -> None:
    """``open → expired`` for those whose time is over."""
    table = model.upload
    keys = connection.execute(
        table.update()
        .values(state="expired")
        .where(table.c.state == "open", table.c.expires_at <= now, whose)
        .returning(table.c.key)
    ).scalars()
    bury(connection, keys, now)


def _upload(row: sa.Row) -> Upload:
    return Upload(row.id, row.package_id, row.user_id, row.declared_oid, row.declared_size, row.key)
