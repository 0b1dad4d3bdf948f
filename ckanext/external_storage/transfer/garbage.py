"""What nobody needs goes: first the link of a dataset to bytes, then bytes that no link is left for.

A link is removed when nothing refers to it and nothing has for the time of grace. Who saves a dataset notes
that first (`links.use`), which locks the link: removing waits, looks again and leaves it; or has come first,
and the save is told that the dataset has no such file. So nothing refers to a link that goes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ckanext.external_storage import errors, model
from ckanext.external_storage.transfer.dead_keys import bury
from ckanext.external_storage.transfer.links import of_resources

#: Links or objects that one transaction removes.
BATCH = 1000
#: A save, or a form in which a file waits to be saved, may take as long as this.
SHORTEST_GRACE = timedelta(days=1)

#: SELECTs of ``package_id, oid``: what is needed.
References = Iterable["sa.Select[Any]"]


@dataclass(frozen=True)
class Garbage:
    """How many links and objects, and the size of the latter in bytes."""

    links: int = 0
    objects: int = 0
    bytes: int = 0

    def __add__(self, other: Garbage) -> Garbage:
        return Garbage(self.links + other.links, self.objects + other.objects, self.bytes + other.bytes)


def found(engine: sa.Engine, others: References, grace: timedelta) -> Garbage:
    """What `collect` would remove now. Raises ReferencesUnknown."""
    kept = sa.select(model.link.c.oid).where(~_unneeded(others, grace))
    lost = _unlinked(kept)
    try:
        with engine.connect() as connection:
            links = connection.execute(
                sa.select(sa.func.count()).select_from(model.link).where(_unneeded(others, grace))
            ).scalar_one()
            size = sa.func.coalesce(sa.func.sum(model.object.c.size), 0)
            objects = connection.execute(sa.select(sa.func.count(), size).where(lost)).one()
    except DBAPIError as error:
        raise _unanswered() from error
    return Garbage(links, objects[0], int(objects[1]))


def collect(
    engine: sa.Engine, others: References, grace: timedelta, now: datetime, batch: int = BATCH
) -> Iterator[Garbage]:
    """Remove what nobody needs, a batch at a time, and say how much; the bytes go with the dead keys.

    *others*: what is needed beside the resources there are. Interrupted anywhere, what is done is whole.
    Raises ReferencesUnknown, before anything is removed.
    """
    others = list(others)
    while gone := _remove_links(engine, others, max(grace, SHORTEST_GRACE), batch):
        yield Garbage(links=gone)
    last = ""
    while candidates := _objects_without_links(engine, last, batch):
        last = candidates[-1]
        yield _remove_objects(engine, candidates, now)


def _unneeded(others: References, grace: timedelta) -> sa.ColumnElement[bool]:
    link = model.link.c
    conditions = [link.used_at < sa.func.now() - grace]
    for reference in [of_resources(), *others]:
        needed = reference.subquery()
        conditions.append(
            ~sa.exists().where(needed.c.package_id == link.package_id, needed.c.oid == link.oid)
        )
    return sa.and_(*conditions)


def _remove_links(engine: sa.Engine, others: References, grace: timedelta, batch: int) -> int:
    link = model.link.c
    # Locking a row looks again at what a save has made of it; one that a save holds is for another time.
    chosen = (
        sa.select(link.oid, link.package_id)
        .where(_unneeded(others, grace))
        .limit(batch)
        .with_for_update(skip_locked=True, of=model.link)
        .cte("chosen")
    )
    same = (link.oid == chosen.c.oid) & (link.package_id == chosen.c.package_id)
    try:
        with engine.begin() as connection:
            return connection.execute(model.link.delete().where(same)).rowcount
    except DBAPIError as error:
        raise _unanswered() from error


def _unlinked(linked: sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Objects outside *linked* that no upload keeps for a dataset which is about to be created."""
    o, u, kept = model.object.c, model.upload.c, linked.subquery()
    waiting = sa.exists().where(
        u.oid == o.oid, u.state == "verified", u.package_id.is_(None), u.expires_at > sa.func.now()
    )
    return sa.and_(~sa.exists().where(kept.c.oid == o.oid), ~waiting)


def _objects_without_links(engine: sa.Engine, after: str, batch: int) -> list[str]:
    o = model.object.c
    with engine.connect() as connection:
        return list(
            connection.execute(
                sa.select(o.oid)
                .where(o.oid > after, _unlinked(sa.select(model.link.c.oid)))
                .order_by(o.oid)
                .limit(batch)
            ).scalars()
        )


def _remove_objects(engine: sa.Engine, oids: list[str], now: datetime) -> Garbage:
    """Objects and what says of uploads that they became them. A key is never used again, so that a repeated
    PUT of such an upload must not find it."""
    o, u = model.object, model.upload
    of_them = (u.c.oid.in_(oids)) & (u.c.state == "verified")
    with engine.begin() as connection:
        # In the order of `receiving.verify`; whoever holds one of them may be about to link the object.
        connection.execute(sa.select(u.c.id).where(of_them).order_by(u.c.id).with_for_update())
        connection.execute(sa.select(o.c.oid).where(o.c.oid.in_(oids)).order_by(o.c.oid).with_for_update())
        # Another statement sees the links that came before the locks; none can come after.
        unlinked = _unlinked(sa.select(model.link.c.oid))
        rows = connection.execute(
            o.delete().where(o.c.oid.in_(oids), unlinked).returning(o.c.oid, o.c.key, o.c.size)
        ).all()
        gone = [row.oid for row in rows]
        connection.execute(u.delete().where(u.c.oid.in_(gone), u.c.state == "verified"))
        bury(connection, [row.key for row in rows], now)
    return Garbage(objects=len(rows), bytes=sum(row.size for row in rows))


def _unanswered() -> errors.ReferencesUnknown:
    return errors.ReferencesUnknown(
        "The database could not say which files are still needed; the log has its words. If a plugin was just"
        " switched on, make its tables: ckan db upgrade."
    )
