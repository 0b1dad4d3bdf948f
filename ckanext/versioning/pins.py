"""Which file of CKAN's own FileStore belongs to which state of a resource.

A revision *pins* such a file: it notes the file's mark (`filestore`), and later, when the bytes are in the
object store (`taking_in`), their sha256. All functions take a SQLAlchemy connection or session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ckanext.versioning import filestore, reading, revisions
from ckanext.versioning import model as tables
from ckanext.versioning.changes import Change
from ckanext.versioning.filestore import Mark
from ckanext.versioning.snapshot import ResourcePart, Snapshot

#: In `Session.info`: dataset id → bytes of the files that the transaction has pinned and that wait.
_NEW = "ckanext.versioning.pinned"


@dataclass(frozen=True)
class Pinned:
    """One file, whatever the number of states that pin it."""

    package_id: str
    resource_id: str
    mark: Mark


def add(session: Any, package_id: str, seq: int, snapshot: Snapshot, change: Change) -> None:
    """Pin the files of the states that begin with revision *seq*, in the transaction that records it."""
    begun = {state.resource_id for state in change.resources if not state.kept}
    rows = [
        {"package_id": package_id, "resource_id": part.id, "from_seq": seq, **vars(mark)}
        for part in snapshot.resources
        if part.id in begun and is_classic(part) and (mark := filestore.mark(part.id))
    ]
    if not rows:
        return
    p = tables.classic_file
    connection = session.connection()
    connection.execute(sa.insert(p), rows)
    # The same file in an earlier state: what is known of it holds.
    known = p.alias()
    same = [known.c[name] == p.c[name] for name in ("package_id", "resource_id", "size", "mtime_ns")]
    new = (p.c.package_id == package_id) & (p.c.from_seq == seq)
    connection.execute(sa.update(p).where(new, *same, known.c.oid.is_not(None)).values(oid=known.c.oid))
    wait = sa.select(sa.func.sum(p.c.size)).where(new, p.c.oid.is_(None))
    size = connection.execute(wait).scalar()
    if size is not None:
        session.info.setdefault(_NEW, {})[package_id] = int(size)


def is_classic(part: ResourcePart) -> bool:
    """Does the resource have a file of which no sha256 is known?"""
    return part.body.get("url_type") == "upload" and part.oid is None


def not_overwritten(before: Snapshot, now: Snapshot) -> Snapshot:
    """*before* without the resources whose file the running transaction has replaced.

    Where files go to the object store nothing is replaced. Elsewhere CKAN has done it by the time a
    transaction is recorded, and has given the resource a new ``last_modified``.
    """
    if reading.has_files():
        return before
    later = {part.id: part.body.get("last_modified") for part in now.resources if is_classic(part)}
    kept = [
        p
        for p in before.resources
        if later.get(p.id, p.body.get("last_modified")) == p.body.get("last_modified")
    ]
    return Snapshot(before.dataset, kept)


def new(session: Any) -> dict[str, int]:
    """Datasets of which *session*'s transaction has pinned files that wait: id → bytes. Asked once."""
    return session.info.pop(_NEW, {})


def waiting(connection: Any, package_id: str | None = None) -> list[Pinned]:
    """Files that are pinned and not taken in, of one dataset or of all, in the order of the ids."""
    p = tables.classic_file
    columns = (p.c.package_id, p.c.resource_id, p.c.size, p.c.mtime_ns)
    query = sa.select(*columns).where(p.c.oid.is_(None)).distinct().order_by(*columns)
    if package_id is not None:
        query = query.where(p.c.package_id == package_id)
    return [
        Pinned(row.package_id, row.resource_id, Mark(row.size, row.mtime_ns))
        for row in connection.execute(query)
    ]


def is_waiting(connection: Any, file: Pinned) -> bool:
    """Still pinned, and not taken in meanwhile?"""
    return connection.execute(sa.select(sa.exists().where(*_rows_of(file)))).scalar()


def set_oid(connection: Any, file: Pinned, oid: str) -> None:
    """The bytes of *file* are in the object store, and *oid* is their sha256."""
    connection.execute(sa.update(tables.classic_file).where(*_rows_of(file)).values(oid=oid))


def mark_of(state: Any) -> Mark | None:
    """The mark of the file that a state (a row of `revisions.states`) pins; None if it pins none."""
    return None if state.file_mtime_ns is None else Mark(state.file_size, state.file_mtime_ns)


#: Stands for the sha256 of a file that is there and has not been taken in.
NOT_YET_KNOWN = "0" * 64


def kept(connection: Any, package_id: str, seq: int) -> dict[str, str]:
    """Resource id → sha256 of the files that CKAN's own FileStore had in a revision, and that history has.

    `NOT_YET_KNOWN` for those that wait and are there. Empty on a site without an object store.
    """
    if not reading.has_files():
        return {}
    p, s = tables.classic_file, tables.resource_state
    query = (
        sa.select(p)
        .join(s, revisions.same_state(s, p))
        .where(p.c.package_id == package_id, s.c.from_seq <= seq, s.c.to_seq.is_(None) | (s.c.to_seq > seq))
    )
    return {
        row.resource_id: row.oid or NOT_YET_KNOWN
        for row in connection.execute(query)
        if row.oid or filestore.mark(row.resource_id) == Mark(row.size, row.mtime_ns)
    }


def _rows_of(file: Pinned) -> Iterator[Any]:
    columns = tables.classic_file.c
    yield columns.package_id == file.package_id
    yield columns.resource_id == file.resource_id
    yield columns.size == file.mark.size
    yield columns.mtime_ns == file.mark.mtime_ns
    yield columns.oid.is_(None)
