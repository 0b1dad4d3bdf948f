"""Are the bytes of all objects still what they were when they came?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore

#: Bytes read at a time, and objects asked of the database at a time.
CHUNK = 1 << 20
BATCH = 1000

What = Literal["well", "missing", "corrupt", "unreadable"]


@dataclass(frozen=True)
class Which:
    """Objects after the oid ``after``, by oid; of one dataset; that came or were used in a save at ``since``
    or later. What is None does not narrow."""

    after: str = ""
    package_id: str | None = None
    since: datetime | None = None

    def condition(self) -> sa.ColumnElement[bool]:
        o, link = model.object.c, model.link.c
        conditions = [o.oid > self.after]
        if self.package_id is not None:
            conditions.append(sa.exists().where(link.oid == o.oid, link.package_id == self.package_id))
        if self.since is not None:
            conditions.append(sa.exists().where(link.oid == o.oid, link.used_at >= self.since))
        return sa.and_(*conditions)


@dataclass(frozen=True)
class Checked:
    """``size`` in bytes; ``package_ids`` of the datasets that have it, where it is not well."""

    oid: str
    size: int
    what: What
    package_ids: tuple[str, ...] = ()


def count(engine: sa.Engine, which: Which) -> int:
    with engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(model.object).where(which.condition())
        return connection.execute(query).scalar_one()


def check(engine: sa.Engine, store: ObjectStore, which: Which) -> Iterator[Checked]:
    """Read every object and hash it, in the order of oids.

    An object that is collected as garbage meanwhile is left out. Raises StoreUnavailable if the store as a
    whole cannot be asked; one object that cannot be read is "unreadable".
    """
    while rows := _some(engine, which):
        for row in rows:
            what = _look(store, row.key, row.size, row.oid)
            if what == "well":
                yield Checked(row.oid, row.size, what)
            elif (package_ids := _still_there(engine, row.oid, row.key)) is not None:
                yield Checked(row.oid, row.size, what, package_ids)
        which = Which(rows[-1].oid, which.package_id, which.since)


def _some(engine: sa.Engine, which: Which) -> list[sa.Row]:
    query = sa.select(model.object).where(which.condition()).order_by(model.object.c.oid).limit(BATCH)
    with engine.connect() as connection:
        return list(connection.execute(query))


def _look(store: ObjectStore, key: str, size: int, oid: str) -> What:
    found = store.stat(key)
    if found is None:
        return "missing"
    if found.size != size:
        return "corrupt"
    digest = hashlib.sha256()
    try:
        with store.open(key) as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except (errors.StorageError, OSError):
        return "unreadable"
    return "well" if digest.hexdigest() == oid else "corrupt"


def _still_there(engine: sa.Engine, oid: str, key: str) -> tuple[str, ...] | None:
    """Ids of the datasets that have the object; None if it is gone, or is another copy now."""
    with engine.connect() as connection:
        now = connection.execute(sa.select(model.object.c.key).where(model.object.c.oid == oid)).scalar()
        links = connection.execute(
            sa.select(model.link.c.package_id)
            .where(model.link.c.oid == oid)
            .order_by(model.link.c.package_id)
        ).scalars()
        return tuple(links) if now == key else None
