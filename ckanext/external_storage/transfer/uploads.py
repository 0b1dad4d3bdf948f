"""Uploads: opened, found again, expired. How bytes arrive and are checked is in `receiving`.

All functions take a SQLAlchemy connection inside a transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import key_for
from ckanext.external_storage.transfer import quota
from ckanext.external_storage.transfer.dead_keys import bury

#: An upload without bytes ends after a day.
LIFETIME = timedelta(hours=24)


@dataclass(frozen=True)
class Upload:
    """One permission to bring one object's bytes in. ``size`` is in bytes.

    ``package_id`` is None for a file of a dataset that is about to be created, ``oid`` None if none was
    declared.
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


def open_uploads(
    connection: sa.Connection, user_id: str, package_id: str, wanted: Mapping[str, int], now: datetime
) -> dict[str, Upload]:
    """An open upload for each oid → size (bytes) in *wanted*: the one of an earlier call, or a new one.

    Raises QuotaExceeded; the caller's transaction must not be committed then.
    """
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
    expire(connection, sa.and_(table.c.user_id == user_id, table.c.package_id == package_id), now)
    connection.execute(
        insert(table).on_conflict_do_nothing(
            index_elements=["user_id", "package_id", "declared_oid", "declared_size"],
            index_where=sa.text("state = 'open'"),  # no parameter: many rows go in one statement
        ),
        new,
    )
    quota.check(connection, package_id, None, sum(wanted.values()))
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


def expire(connection: sa.Connection, whose: sa.ColumnElement[bool], now: datetime) -> None:
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
    )
