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
from sqlalchemy.dialects.postgresql import ARRAY

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, key_maker
from ckanext.external_storage.transfer import links, quota, standing
from ckanext.external_storage.transfer.dead_keys import bury

#: An upload without bytes ends after a day.
LIFETIME = timedelta(hours=24)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_KNOWN = sa.union_all(
    links.LINKED.with_only_columns(model.object.c.oid, links.SIZE, sa.true().label("linked")).where(
        links.reached(links.KEY)
    ),
    sa.select(model.upload.c.declared_oid, model.upload.c.declared_size, sa.false()).where(
        model.upload.c.package_id == sa.bindparam("of_package"),
        model.upload.c.declared_oid == sa.any_(sa.bindparam("oids", type_=ARRAY(sa.Text))),
        model.upload.c.state == "received",
        links.reached(model.upload.c.key),
    ),
)


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


# One statement for any number of rows, and one text, which is compiled once: an INSERT with ON CONFLICT is
# compiled anew each time by SQLAlchemy, which takes longer than the database takes for some rows.
_OPEN = sa.text(
    f"""
    INSERT INTO external_storage_upload AS old
        (id, declared_oid, declared_size, key, transfer, package_id, owner_org, user_id, state, expires_at,
         signed_until)
    SELECT id, oid, size, key, transfer, :package_id, (SELECT owner_org FROM package WHERE id = :package_id),
           :user_id, 'open', :expires_at,
           CASE WHEN transfer = 'put' THEN CAST(:signed_until AS timestamp with time zone) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:oids AS text[]), CAST(:sizes AS bigint[]), CAST(:keys AS text[]),
                CAST(:transfers AS text[])) AS new (id, oid, size, key, transfer)
    ON CONFLICT (user_id, package_id, declared_oid, declared_size) WHERE state = 'open'
    DO UPDATE SET transfer = excluded.transfer, expires_at = excluded.expires_at,
                  signed_until = greatest(old.signed_until, excluded.signed_until)
        WHERE old.store_ref IS NULL
    RETURNING {", ".join(model.upload.c.keys())}
    """  # noqa: S608 (the names of our own columns)
).columns(*model.upload.c)


def open_uploads(
    connection: sa.Connection,
    user_id: str,
    package_id: str,
    wanted: Mapping[str, int],
    now: datetime,
    transfer: Callable[[int], str] = lambda size: "stream",
    store: ObjectStore | None = None,
    signed_until: datetime | None = None,
) -> dict[str, Upload]:
    """An open upload for each oid → size (bytes) in *wanted*: the one of an earlier call, or a new one.

    Asked for again, an upload lives on, whatever its time was. ``transfer``: how an object of this size
    (bytes) shall come. One that arrives in parts at the store stays so: whoever began it must finish it or
    end it. ``store``: where the bytes go, if a `ServerStore`, which has keys of its own kind.
    ``signed_until``: until when requests that are about to be signed for a ``put`` can write.

    Raises QuotaExceeded; the caller's transaction must not be committed then.
    """
    if not wanted:
        return {}
    key = key_maker(store)
    new = [
        (upload_id := str(uuid.uuid4()), oid, size, key(package_id, oid, size, upload_id), transfer(size))
        for oid, size in sorted(wanted.items())  # in one order, so that no two calls wait for each other
    ]
    end_lost(connection, store, user_id, package_id, now)
    columns = map(list, zip(*new, strict=True))
    values = dict(zip(("ids", "oids", "sizes", "keys", "transfers"), columns, strict=True))
    same = {"package_id": package_id, "user_id": user_id, "signed_until": signed_until}
    rows = connection.execute(_OPEN, {**values, **same, "expires_at": now + LIFETIME}).all()
    quota.check(connection, package_id, None, sum(wanted.values()))
    found = {row.declared_oid: from_row(row) for row in rows}
    if in_parts := wanted.keys() - found.keys():
        c = model.upload.c
        mine = (c.user_id == user_id, c.package_id == package_id, c.state == "open")
        query = sa.select(model.upload).where(*mine, c.declared_oid.in_(in_parts))
        uploads = map(from_row, connection.execute(query))
        found |= {oid: upload for upload in uploads if (oid := upload.oid) and wanted[oid] == upload.size}
    return found


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


def known(
    connection: sa.Connection, package_id: str, oids: Iterable[str], store: ObjectStore
) -> dict[str, int]:
    """Those of *oids* that need not be sent: the dataset has them in reach of *store*, or their bytes have
    arrived for it and are being hashed. oid → size in bytes; what the dataset has comes before what is being
    hashed."""
    asked = {"of_package": package_id, "oids": list(oids), **links.in_reach(store)}
    rows = connection.execute(_KNOWN, asked)
    found: dict[str, int] = {}
    for row in rows:
        if row.linked or row.oid not in found:
            found[row.oid] = row.size
    return found


def signed(connection: sa.Connection, until: Mapping[str, datetime]) -> None:
    """Upload id → until when a signed request for it can write. That is never taken back."""
    if until:
        # All until the last of them: what differs is the moment of signing.
        latest = sa.func.greatest(model.upload.c.signed_until, max(until.values()))  # ignores NULL
        connection.execute(
            model.upload.update().where(model.upload.c.id.in_(until)).values(signed_until=latest)
        )


def progressed(
    connection: sa.Connection, upload_id: str, signed_until: datetime | None = None
) -> datetime | None:
    """Bytes came, or the client is about to send some to the store, by requests that are *signed_until* then:
    the upload lives on. Until when; None if it is not open any more."""
    table = model.upload
    new = {
        "expires_at": sa.func.clock_timestamp() + LIFETIME,
        "signed_until": sa.func.greatest(table.c.signed_until, signed_until),  # ignores NULL
    }
    still_open = sa.and_(table.c.id == upload_id, table.c.state == "open")
    return connection.execute(
        table.update().values(new).where(still_open).returning(table.c.expires_at)
    ).scalar()


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


def end_lost(
    connection: sa.Connection,
    store: ObjectStore | None,
    user_id: str,
    package_id: str | None,
    now: datetime,
) -> None:
    """End those open uploads of the user to the dataset that would not be kept any more (`standing.lost`), or
    are on their way to where the site does not keep its files by now.

    What the user begins now must not go on with one of them.
    """
    table = model.upload
    mine = sa.and_(table.c.user_id == user_id, table.c.package_id == package_id, table.c.state == "open")
    lives = sa.select(
        table.c.owner_org,
        sa.func.min(table.c.created).label("begun"),
        sa.func.bool_and(links.reached(table.c.key)).label("reached"),
    ).where(mine)
    here = links.in_reach(store)
    for row in connection.execute(lives.group_by(table.c.owner_org), here).all():
        if not row.reached:
            elsewhere = sa.and_(mine, sa.not_(links.reached(table.c.key)).params(here))
            reason = "The site keeps its files in another store by now."
            _end(connection, elsewhere, {"state": "rejected", "reason": reason}, now)
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
