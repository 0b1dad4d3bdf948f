"""Uploads by the id that a save names them with, and files that came before their dataset.

All functions take a SQLAlchemy connection inside a transaction.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import own_key
from ckanext.external_storage.transfer import links


@dataclass(frozen=True)
class NamedUpload:
    """How far an upload is. ``size`` and ``hashed`` (of them checked) in bytes; ``reason`` if rejected."""

    id: str
    state: str
    oid: str | None
    size: int
    hashed: int
    filename: str | None
    reason: str | None


def of_dataset(connection: sa.Connection, package_id: str, ids: Iterable[object]) -> dict[str, NamedUpload]:
    """Those of *ids* that bring a file into the dataset; the caller may update it."""
    return _found(connection, ids, model.upload.c.package_id == package_id)


def of_user(
    connection: sa.Connection, user_id: str, owner_org: str | None, ids: Iterable[object], now: datetime
) -> dict[str, NamedUpload]:
    """Those of *ids* that bring a file into a dataset which this user is about to create in *owner_org*."""
    return _found(connection, ids, sa.and_(_unattached(user_id, owner_org), model.upload.c.expires_at > now))


def attach(
    connection: sa.Connection, user_id: str, owner_org: str | None, package_id: str, ids: Collection[str]
) -> None:
    """The dataset is being created, in this transaction: verified files that came before it become its own.

    Raises UploadNotFound if one has become another dataset's meanwhile.
    """
    table = model.upload
    rows = connection.execute(
        table.update()
        .values(package_id=package_id)
        .where(table.c.id.in_(ids), table.c.state == "verified", _unattached(user_id, owner_org))
        .returning(table.c.id, table.c.oid, table.c.key)
    ).all()
    if len(rows) < len(ids):
        raise errors.UploadNotFound
    for row in rows:
        links.link(connection, row.oid, package_id, row.id, own_key(row.key, row.oid))


def _unattached(user_id: str, owner_org: str | None) -> sa.ColumnElement[bool]:
    c = model.upload.c
    return sa.and_(
        c.package_id.is_(None), c.user_id == user_id, c.owner_org.is_not_distinct_from(owner_org or None)
    )


def _found(
    connection: sa.Connection, ids: Iterable[object], whose: sa.ColumnElement[bool]
) -> dict[str, NamedUpload]:
    c = model.upload.c
    columns = c.id, c.state, c.oid, c.declared_size.label("size"), c.hashed, c.filename, c.reason
    wanted = [id for id in ids if _is_uuid(id)]
    rows = connection.execute(sa.select(*columns).where(c.id.in_(wanted), whose)) if wanted else ()
    return {row.id: NamedUpload(**row._mapping) for row in rows}


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
