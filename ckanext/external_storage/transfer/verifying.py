"""Are the bytes of all objects still what they were when they came?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, may_have, sha256_of

#: Copies asked of the database at a time.
BATCH = 1000

What = Literal["well", "missing", "corrupt", "unreadable"]

_LINK, _OBJECT = model.link.c, model.object.c
_copy_key: sa.ColumnElement[Any] = sa.func.coalesce(_LINK.own_key, _OBJECT.key)
_copy_size: sa.ColumnElement[Any] = sa.func.coalesce(_LINK.unverified_size, _OBJECT.size)


@dataclass(frozen=True)
class Which:
    """Copies after this oid and key, in that order; of one dataset; that came or were used in a save at
    ``since`` or later. What is None does not narrow."""

    after: tuple[str, str] = ("", "")
    package_id: str | None = None
    since: datetime | None = None

    def copies(self) -> sa.Select[Any]:
        """``oid, key, size`` in order: one row for an object, or for each copy if datasets have their own."""
        oid, key = self.after
        conditions = [_OBJECT.oid >= oid, sa.or_(_OBJECT.oid > oid, _copy_key > key)]
        if self.package_id is not None:
            conditions.append(_LINK.package_id == self.package_id)
        if self.since is not None:
            conditions.append(_LINK.used_at >= self.since)
        columns = _OBJECT.oid, _copy_key.label("key"), _copy_size.label("size")
        query = sa.select(*columns).distinct().outerjoin_from(model.object, model.link)
        return query.where(*conditions).order_by(*columns)


@dataclass(frozen=True)
class Checked:
    """``size`` in bytes; ``package_ids`` of the datasets that have it, where it is not well."""

    oid: str
    key: str
    size: int
    what: What
    package_ids: tuple[str, ...] = ()


def count(engine: sa.Engine, which: Which) -> int:
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(which.copies().subquery())
        return connection.execute(query).scalar_one()


def check(engine: sa.Engine, store: ObjectStore, which: Which) -> Iterator[Checked]:
    """Read every copy and hash it, in the order of oids and keys.

    What is collected as garbage meanwhile is left out. Raises StoreUnavailable if the store as a whole cannot
    be asked; one object that cannot be read is "unreadable".
    """
    while rows := _some(engine, which):
        for row in rows:
            what = _look(store, row.key, row.size, row.oid)
            if what == "well":
                yield Checked(row.oid, row.key, row.size, what)
            elif (package_ids := _still_there(engine, row.oid, row.key)) is not None:
                yield Checked(row.oid, row.key, row.size, what, package_ids)
        which = replace(which, after=(rows[-1].oid, rows[-1].key))


def _some(engine: sa.Engine, which: Which) -> list[sa.Row]:
    with engine.connect() as connection:
        return list(connection.execute(which.copies().limit(BATCH)))


def _look(store: ObjectStore, key: str, size: int, oid: str) -> What:
    if not may_have(store, key):
        return "unreadable"
    found = store.stat(key)
    if found is None:
        return "missing"
    if found.size != size:
        return "corrupt"
    try:
        with store.open(key) as file:
            return "well" if sha256_of(file) == oid else "corrupt"
    except (errors.StorageError, OSError):
        return "unreadable"


def _still_there(engine: sa.Engine, oid: str, key: str) -> tuple[str, ...] | None:
    """Ids of the datasets that have the copy; None if it is gone, or is another one now."""
    query = sa.select(_LINK.package_id).outerjoin_from(model.object, model.link)
    query = query.where(_OBJECT.oid == oid, _copy_key == key).order_by(_LINK.package_id)
    with engine.connect() as connection:
        found = list(connection.execute(query).scalars())
    return tuple(filter(None, found)) if found else None
