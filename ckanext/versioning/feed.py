"""The revisions of all datasets in one order that consumers can follow without missing one.

Saves are not committed in the order in which they take their numbers: whoever remembers the highest number
read so far misses the save that took a lower one and is committed later. So every revision keeps the id of
its transaction (``txid``), and given out are only those with a lower one than any transaction that is still
going on: nothing can be added among them any more. ``number`` orders those of one transaction.

A transaction's id means something to one PostgreSQL server only: where tables are restored from a dump, ids
count from elsewhere. The row of ``versioning_feed`` tells: it says in which transaction and table it was
written, and PostgreSQL's own columns say so too, until it is written again from a dump. Then all that is
there goes first in a new order, and cursors of the old one are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import model as tables
from ckanext.versioning import revisions
from ckanext.versioning.access import Viewer
from ckanext.versioning.errors import InvalidCursor

#: Revisions that one call looks at, of which the caller may see all or none.
SCANNED = 10_000

_CURSOR = re.compile(r"([0-9a-f]{32})-([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True)
class _Feed:
    """``end``: all transactions with a lower id are over. ``newest``: none has this id or one above yet."""

    id: str
    end: int
    newest: int


@dataclass(frozen=True)
class Changes:
    """``revisions`` are dicts as in `revisions.as_dict`, with ``package_id``.

    ``cursor`` is where the next call goes on; with ``more`` there is something to look at now.
    """

    revisions: list[dict[str, Any]]
    cursor: str
    more: bool


def changes(who: Viewer, cursor: str | None, limit: int) -> Changes:
    """Up to *limit* revisions after *cursor* (None: from the beginning) that *who* may see.

    Theirs are those that `revisions.seen` says, of datasets whose newest revision has one of their labels.
    Raises InvalidCursor.
    """
    feed = _feed()
    after = (0, 0) if cursor is None else _position(cursor, feed)
    r = tables.revision
    key = sa.tuple_(r.c.txid, r.c.number)
    ahead = (key > _values(after)) & (r.c.txid < feed.end)
    in_order = (r.c.txid, r.c.number)
    last = model.Session.execute(
        sa.select(*in_order).where(ahead).order_by(*in_order).offset(SCANNED - 1).limit(1)
    ).first()
    if last:
        ahead = ahead & (key <= _values(last))
    query = (
        sa.select(r, revisions.parent_seen(r, who).label("parent_seen"))
        .where(ahead, revisions.seen(r, who), _dataset_readable(r, who))
        .order_by(*in_order)
        .limit(limit + 1)
    )
    found = model.Session.execute(query).all()
    shown = found[:limit]
    if len(found) > limit:
        position: Any = (shown[-1].txid, shown[-1].number)
    else:
        position = last or (feed.end, 0)
    names = revisions.release_names([(row.package_id, row.seq) for row in shown])
    lines = [
        {
            "package_id": row.package_id,
            **revisions.as_dict(
                row, names.get((row.package_id, row.seq), []), parent_visible=row.parent_seen
            ),
        }
        for row in shown
    ]
    return Changes(lines, f"{feed.id}-{position[0]}-{position[1]}", len(found) > limit or last is not None)


def _values(position: Any) -> Any:
    return sa.tuple_(*(sa.literal(value, sa.BigInteger) for value in position))


def _dataset_readable(r: Any, who: Viewer) -> Any:
    if who.labels is None:
        return sa.true()
    newest = r.alias()
    labels = (
        sa.select(newest.c.labels)
        .where(newest.c.package_id == r.c.package_id)
        .order_by(newest.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    return sa.type_coerce(labels, r.c.labels.type).overlap(list(who.labels))


def _position(cursor: str, feed: _Feed) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidCursor("This is no cursor that revision_changes_since gave.")
    position = (int(match[2]), int(match[3]))
    if match[1] != feed.id or position[0] > feed.newest:
        raise InvalidCursor("The site's database was restored from a backup after this cursor was given.")
    return position


_STATE = sa.text(
    """
    SELECT id, txid_snapshot_xmin(txid_current_snapshot()) AS "end",
           txid_snapshot_xmax(txid_current_snapshot()) AS newest,
           tableoid::bigint = table_oid AND xmin::text::bigint = txid & 4294967295 AS written_here
    FROM versioning_feed
    """
)


def _feed() -> _Feed:
    state = model.Session.execute(_STATE).first()
    if state is None or not state.written_here:
        _start_anew()
        state = model.Session.execute(_STATE).one()
    return _Feed(state.id, state.end, state.newest)


def _start_anew() -> None:
    """Put all revisions before all that are recorded from now on. Commits."""
    connection = model.Session.connection()
    # Waits for the saves that go on, and new ones wait for this: they get the ids of this server.
    connection.execute(sa.text("LOCK TABLE versioning_revision IN SHARE ROW EXCLUSIVE MODE"))
    state = connection.execute(_STATE).first()
    if state is None or not state.written_here:
        connection.execute(sa.update(tables.revision).values(txid=0))
        connection.execute(sa.delete(tables.feed))
        connection.execute(
            sa.insert(tables.feed).values(
                id=uuid4().hex, table_oid=sa.literal_column("'versioning_feed'::regclass::oid::bigint")
            )
        )
    model.Session.commit()
