"""Uploads: opened, found again, ended. How bytes arrive and are checked is in `receiving` and `finishing`.

All functions take a SQLAlchemy connection inside a transaction.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID, insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, key_maker
from ckanext.external_storage.transfer import quota, standing
from ckanext.external_storage.transfer.dead_keys import bury

#: An upload without bytes ends after a day.
LIFETIME = timedelta(hours=24)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Upload:
    """One permission to bring one object's bytes in. ``size`` is in bytes.

    ``package_id`` is None for a file of a dataset that is about to be created, ``oid`` None if none was
    declared. ``verified``: sha256 of the object that it became. ``hashed``: bytes that are checked
    already, in the last of so many ``attempts``.
    """

    id: str
    package_id: str | None
    user_id: str
    oid: str | None
    size: int
    key: str
    state: str
    transfer: str
    store_ref: str | None
    filename: str | None = None
    fingerprint: str | None = None
    verified: str | None = None
    reason: str | None = None
    etag: str | None = None
    hashed: int = 0
    attempts: int = 0
    created: datetime | None = None
    expires_at: datetime | None = None


def require_open(upload: Upload) -> None:
    """Raises BeingChecked, UploadOver."""
    if upload.state == "received":
        raise errors.BeingChecked
    if upload.state != "open":
        raise errors.UploadOver(upload.reason)


def open_uploads(
    connection: sa.Connection,
    user_id: str,
    package_id: str,
    wanted: Mapping[str, int],
    now: datetime,
    transfer: Callable[[int], str] = lambda size: "stream",
    store: ObjectStore | None = None,
) -> dict[str, Upload]:
    """An open upload for each oid → size (bytes) in *wanted*: the one of an earlier call, or a new one.

    ``transfer``: how an object of this size (bytes) shall come. One that arrives in parts at the store stays
    so: whoever began it must finish it or end it. ``store``: where the bytes go, if a `ServerStore`, which
    has keys of its own kind.

    Raises QuotaExceeded; the caller's transaction must not be committed then.
    """
    if not wanted:
        return {}
    key = key_maker(store)
    new = [
        (upload_id := str(uuid.uuid4()), oid, size, key(package_id, oid, size, upload_id), transfer(size))
        for oid, size in sorted(wanted.items())  # in one order, so that no two calls wait for each other
    ]
    owner_org = standing.owner_org(connection, package_id)
    table = model.upload
    end_lost(connection, user_id, package_id, now)
    # Many rows in one statement, which is the same for any number of them.
    kinds = {"id": UUID(as_uuid=False), "declared_oid": sa.Text, "declared_size": sa.BigInteger}
    kinds |= {"key": sa.Text, "transfer": sa.Text}
    values = zip(*new, strict=True)
    own = [
        sa.func.unnest(sa.literal(list(column), ARRAY(kind)))
        for column, kind in zip(values, kinds.values(), strict=True)
    ]
    same = {"package_id": package_id, "owner_org": owner_org, "user_id": user_id, "state": "open"}
    opening = insert(table).from_select(
        [*kinds, *same, "expires_at"],
        sa.select(
            *own,
            *(sa.literal(value, sa.Text) for value in same.values()),
            sa.literal(now + LIFETIME, sa.DateTime(timezone=True)),
        ),
    )
    connection.execute(
        opening.on_conflict_do_update(
            index_elements=["user_id", "package_id", "declared_oid", "declared_size"],
            index_where=sa.text("state = 'open'"),
            # Asked for again, it lives on, whatever its time was.
            set_={"transfer": opening.excluded.transfer, "expires_at": opening.excluded.expires_at},
            where=table.c.store_ref.is_(None),
        )
    )
    quota.check(connection, None, owner_org, sum(wanted.values()))
    rows = connection.execute(
        sa.select(table).where(
            table.c.user_id == user_id,
            table.c.package_id == package_id,
            table.c.state == "open",
            table.c.declared_oid == sa.any_(sa.literal(list(wanted), ARRAY(sa.Text))),
        )
    )
    return {row.declared_oid: from_row(row) for row in rows if wanted[row.declared_oid] == row.declared_size}


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
    return from_row(row)


def latest(connection: sa.Connection, user_id: str, package_id: str, oid: str, size: int) -> Upload | None:
    """The user's newest upload of this content (size in bytes) into the dataset, in whatever state."""
    c = model.upload.c
    same = (c.user_id == user_id, c.package_id == package_id, c.declared_oid == oid, c.declared_size == size)
    query = sa.select(model.upload).where(*same).order_by(c.created.desc()).limit(1)
    row = connection.execute(query).first()
    return from_row(row) if row else None


def get(connection: sa.Connection, upload_id: str, lock: bool = False) -> Upload:
    """Raises UploadNotFound."""
    if not _UUID.fullmatch(upload_id):
        raise errors.UploadNotFound
    query = sa.select(model.upload).where(model.upload.c.id == upload_id)
    row = connection.execute(query.with_for_update() if lock else query).first()
    if row is None:
        raise errors.UploadNotFound
    return from_row(row)


def unfinished(connection: sa.Connection, user_id: str, limit: int) -> list[Upload]:
    """The user's uploads that are neither complete nor ended, the latest first."""
    table = model.upload
    query = sa.select(table).where(table.c.user_id == user_id, table.c.state.in_(("open", "received")))
    rows = connection.execute(query.order_by(table.c.created.desc(), table.c.id).limit(limit))
    return [from_row(row) for row in rows]


def being_checked(connection: sa.Connection, package_id: str, oids: Iterable[str]) -> dict[str, int]:
    """Those of *oids* whose bytes have arrived for the dataset and are still being hashed: oid → size."""
    table = model.upload
    rows = connection.execute(
        sa.select(table.c.declared_oid, table.c.declared_size).where(
            table.c.package_id == package_id,
            table.c.declared_oid.in_(list(oids)),
            table.c.state == "received",
        )
    )
    return {row.declared_oid: row.declared_size for row in rows}


def signed(connection: sa.Connection, until: Mapping[str, datetime]) -> None:
    """Upload id → until when a signed request for it can write. That is never taken back."""
    if until:
        table = model.upload
        latest = sa.func.greatest(table.c.signed_until, sa.bindparam("until"))  # ignores NULL
        connection.execute(
            table.update().where(table.c.id == sa.bindparam("upload")).values(signed_until=latest),
            [{"upload": id, "until": end} for id, end in until.items()],
        )


def progressed(connection: sa.Connection, upload_id: str, now: datetime) -> None:
    """Bytes came, or the client is about to send some to the store: the upload lives on."""
    table = model.upload
    still_open = sa.and_(table.c.id == upload_id, table.c.state == "open")
    connection.execute(table.update().values(expires_at=now + LIFETIME).where(still_open))


def received(connection: sa.Connection, upload_id: str, etag: str | None) -> bool:
    """``open → received``: all bytes are there and wait to be checked. False if it was not open."""
    table = model.upload
    done = connection.execute(
        table.update()
        .values(state="received", etag=etag, hashed=0, attempts=0, lease_until=None)
        .where(table.c.id == upload_id, table.c.state == "open")
    )
    return done.rowcount > 0


def reject(connection: sa.Connection, upload_id: str, reason: str, now: datetime) -> None:
    """``open | received → rejected``; the bytes go. *reason* is a sentence for its user."""
    table = model.upload
    whose = sa.and_(table.c.id == upload_id, table.c.state.in_(("open", "received")))
    _end(connection, whose, {"state": "rejected", "reason": reason}, now)


def discard(connection: sa.Connection, upload_id: str, now: datetime) -> None:
    """Its user does not want it any more. One that is verified already stays: a save may refer to it."""
    table = model.upload
    whose = sa.and_(table.c.id == upload_id, table.c.state == "open")
    _end(connection, whose, {"state": "expired", "reason": "It was discarded."}, now)
    reject(connection, upload_id, "It was discarded.", now)


def expire(connection: sa.Connection, upload_id: str, now: datetime) -> None:
    """``open → expired``, if its time is over; the sweeper has looked at the store before."""
    table = model.upload
    whose = sa.and_(table.c.id == upload_id, table.c.state == "open", table.c.expires_at <= now)
    _end(connection, whose, {"state": "expired", "reason": "No bytes came for a day."}, now)


def end_lost(connection: sa.Connection, user_id: str, package_id: str | None, now: datetime) -> None:
    """End those open uploads of the user to the dataset that would not be kept any more (`standing.lost`).

    What the user begins now must not go on with one of them.
    """
    table = model.upload
    mine = sa.and_(table.c.user_id == user_id, table.c.package_id == package_id, table.c.state == "open")
    lives = sa.select(table.c.owner_org, sa.func.min(table.c.created).label("begun")).where(mine)
    for row in connection.execute(lives.group_by(table.c.owner_org)).all():
        if reason := standing.lost(connection, user_id, package_id, row.owner_org, row.begun):
            whose = sa.and_(mine, table.c.owner_org.is_not_distinct_from(row.owner_org))
            _end(connection, whose, {"state": "rejected", "reason": reason}, now)


def _end(
    connection: sa.Connection, whose: sa.ColumnElement[bool], values: dict[str, Any], now: datetime
) -> None:
    table = model.upload
    ended = connection.execute(
        table.update().values(values).where(whose).returning(table.c.key, table.c.store_ref)
    ).all()
    bury(connection, [row.key for row in ended], now, {row.key: row.store_ref for row in ended})


def from_row(row: sa.Row) -> Upload:
    """A row of the table, as it was read."""
    return Upload(
        id=row.id,
        package_id=row.package_id,
        user_id=row.user_id,
        oid=row.declared_oid,
        size=row.declared_size,
        key=row.key,
        state=row.state,
        transfer=row.transfer,
        store_ref=row.store_ref,
        filename=row.filename,
        fingerprint=row.fingerprint,
        verified=row.oid,
        reason=row.reason,
        etag=row.etag,
        hashed=row.hashed,
        attempts=row.attempts,
        created=row.created,
        expires_at=row.expires_at,
    )
