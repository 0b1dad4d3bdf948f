"""Which revisions of a dataset somebody sees, which one a ref names, and how the API shows one.

Somebody who may read the dataset now sees a revision if it is released, if they may update the dataset
now, or if one of the permission labels that the dataset had then is theirs. The last of these the site can
limit to the newest revision. All answers (refs, places in the list, summaries) are made from visible
revisions only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import history, refs
from ckanext.versioning import model as tables
from ckanext.versioning.access import Viewer
from ckanext.versioning.errors import AmbiguousRef, RevisionNotFound


def visible(package_id: str, who: Viewer) -> Any:
    """Condition on `tables.revision`: revisions of the dataset that *who* may see."""
    r = tables.revision
    return (r.c.package_id == package_id) & seen(r, who, package_id)


def seen(r: Any, who: Viewer, package_id: str | None = None) -> Any:
    """Condition on *r*, `tables.revision` or an alias: somebody who may read its dataset now may see it.

    *package_id*: all rows of *r* are of this dataset, which makes for a better plan.
    """
    if who.labels is None:
        return sa.true()
    readable_then = r.c.labels.overlap(list(who.labels))
    if not who.unreleased:
        readable_then &= _is_head(r, package_id)
    return readable_then | released(r, package_id)


def _is_head(r: Any, package_id: str | None) -> Any:
    other = tables.revision.alias()
    if package_id is None:
        return ~sa.exists().where(other.c.package_id == r.c.package_id, other.c.seq == r.c.seq + 1)
    newest = sa.select(sa.func.max(other.c.seq)).where(other.c.package_id == package_id)
    return r.c.seq == newest.scalar_subquery()


def released(r: Any, package_id: str | None = None) -> Any:
    """Condition on *r* as in `seen`: it has a release."""
    # Not EXISTS: PostgreSQL takes that for so dear that it compiles the query first, for longer than it runs.
    release = tables.release
    if package_id is None:
        return sa.tuple_(r.c.package_id, r.c.seq).in_(sa.select(release.c.package_id, release.c.seq))
    return r.c.seq.in_(sa.select(release.c.seq).where(release.c.package_id == package_id))


def parent_seen(r: Any, who: Viewer, package_id: str | None = None) -> Any:
    """Condition on *r* as in `seen`: the revision before is there, and they may see that one too."""
    before = tables.revision.alias()
    same = (before.c.package_id == r.c.package_id) & (before.c.seq == r.c.seq - 1)
    return sa.exists().where(same, seen(before, who, package_id))


def find(package_id: str, who: Viewer, ref: str) -> Any:
    """The row of the revision that *ref* names; the forms of a ref are in `refs`.

    Raises InvalidRef, RevisionNotFound, AmbiguousRef.
    """
    form = refs.parse(ref)
    # No release can be called latest, head or r1 (`refs.check_release_name`), so none is looked for.
    reserved = isinstance(form, refs.Latest | refs.Head | refs.Number)
    found = [] if reserved else _rows(_released(package_id).where(tables.release.c.name == ref))
    found = found or _found(package_id, who, form)
    if not found:
        raise RevisionNotFound(ref)
    if len(found) > 1:
        raise AmbiguousRef(ref)
    return found[0]


def _found(package_id: str, who: Viewer, form: refs.Ref | None) -> list[Any]:
    r = tables.revision
    newest = sa.select(r).where(visible(package_id, who)).order_by(r.c.seq.desc()).limit(1)
    match form:
        case refs.Latest():
            release = tables.release
            last = _released(package_id).order_by(release.c.created.desc(), release.c.seq.desc()).limit(1)
            return _rows(last) or _rows(newest)
        case refs.Head(back):
            return _rows(newest.offset(back))
        case refs.Number(seq):
            return _rows(newest.where(r.c.seq == seq))
        case refs.AsOf(moment):
            return _rows(newest.where(r.c.created <= moment))
        case refs.Id(prefix):
            return _rows(newest.where(r.c.id.startswith(prefix)).limit(2))
    return []


def _released(package_id: str) -> Any:
    r, release = tables.revision, tables.release
    same = (release.c.package_id == r.c.package_id) & (release.c.seq == r.c.seq)
    return sa.select(r).join(release, same).where(r.c.package_id == package_id)


def _rows(query: Any) -> list[Any]:
    return list(model.Session.execute(query))


def head_seq(package_id: str) -> int | None:
    """Number of the revision that is the dataset's present state, visible or not; None without history."""
    r = tables.revision
    return model.Session.execute(sa.select(sa.func.max(r.c.seq)).where(r.c.package_id == package_id)).scalar()


@dataclass(frozen=True)
class Only:
    """Which revisions are listed; None for all.

    ``authors`` are ids, ``since`` and ``until`` are inclusive. With ``resource_id`` those whose summary has
    the resource, and those whose summary is hidden (`as_dict`), which may have changed it.
    """

    authors: Collection[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    resource_id: str | None = None
    released: bool = False


def listing(
    package_id: str,
    who: Viewer,
    *,
    all: bool,
    limit: int,
    before_seq: int | None,
    only: Only = Only(),
) -> list[dict[str, Any]]:
    """`as_dict` of up to *limit* visible revisions with a ``seq`` below *before_seq*, newest first.

    Without *all*, of each changeset only the newest of them and the released ones. No more of the history is
    read than what the listed lines stand for.
    """
    r = tables.revision
    wanted = visible(package_id, who) & _matching(package_id, who, only)
    seqs = list(islice(_seqs(package_id, wanted, before_seq, all), limit))
    query = (
        sa.select(r, parent_seen(r, who, package_id).label("parent_seen"))
        .where(r.c.package_id == package_id, r.c.seq.in_(seqs))
        .order_by(r.c.seq.desc())
    )
    names = release_names([(package_id, seq) for seq in seqs])
    return [
        as_dict(row, names.get((package_id, row.seq), []), parent_visible=row.parent_seen)
        for row in _rows(query)
    ]


def _seqs(package_id: str, wanted: Any, before_seq: int | None, all: bool) -> Iterator[int]:
    """Numbers of the revisions that are *wanted*, newest first; see `listing`."""
    r = tables.revision
    query = sa.select(r.c.seq, r.c.changeset, released(r, package_id).label("released")).where(wanted)
    changeset = None
    if before_seq is not None:
        newer = query.where(r.c.seq >= before_seq).order_by(r.c.seq).limit(1)
        changeset = next((row.changeset for row in _rows(newer)), None)
        query = query.where(r.c.seq < before_seq)
    # From a cursor of the database, which looks for the next rows when they are asked for.
    streamed = model.Session.execute(
        query.order_by(r.c.seq.desc()), execution_options={"stream_results": True, "max_row_buffer": 100}
    )
    with closing(streamed) as rows:
        for row in rows:
            if all or row.released or row.changeset != changeset:
                yield row.seq
            changeset = row.changeset


def _matching(package_id: str, who: Viewer, only: Only) -> Any:
    """Condition on `tables.revision`."""
    r, conditions = tables.revision, []
    if only.authors is not None:
        conditions.append(r.c.author_id.in_(only.authors))
    if only.since is not None:
        conditions.append(r.c.created >= only.since)
    if only.until is not None:
        conditions.append(r.c.created <= only.until)
    if only.released:
        conditions.append(released(r))
    if only.resource_id is not None:
        conditions.append(r.c.seq.in_(_touching(package_id, who, only.resource_id)))
    return sa.and_(sa.true(), *conditions)


def _touching(package_id: str, who: Viewer, resource_id: str) -> set[int]:
    """Numbers of the visible revisions whose summary has the resource, or is hidden."""
    r, s = tables.revision, tables.resource_state
    # Where a state of it begins or ends. Other resources that come and go may bring that about, too.
    of_resource = (s.c.package_id == package_id) & (s.c.resource_id == resource_id)
    bounds = {seq for row in _rows(sa.select(s.c.from_seq, s.c.to_seq).where(of_resource)) for seq in row}
    kinds = ("added", "removed", "bytes", "metadata", "moved")
    named = sa.or_(*(r.c.summary["resources"][kind].has_key(resource_id) for kind in kinds))
    query = sa.select(r.c.seq).where(visible(package_id, who), r.c.seq.in_(bounds - {None}), named)
    touching = {row.seq for row in _rows(query)}
    if who.labels is None:
        return touching
    previous = sa.func.lag(r.c.seq).over(order_by=r.c.seq)
    found = sa.select(r.c.seq, previous.label("previous")).where(visible(package_id, who)).subquery()
    hidden = sa.select(found.c.seq).where(found.c.seq > 1, found.c.previous.is_distinct_from(found.c.seq - 1))
    return touching | {row.seq for row in _rows(hidden)}


def details(package_id: str, who: Viewer, revision: Any) -> dict[str, Any]:
    """`as_dict` of a revision with its ``parent`` and its ``resources`` as the ids were made from them.

    ``parent`` is the id of the revision before, None for the first. ``resources`` are ``{id, sha256, size}``
    in the dataset's order; sha256 and size (bytes) are None unless it is a stored file.
    """
    r = tables.revision
    before = sa.select(r.c.seq).where(visible(package_id, who), r.c.seq == revision.seq - 1)
    names = release_names([(package_id, revision.seq)])
    return {
        **as_dict(revision, names.get((package_id, revision.seq), []), parent_visible=bool(_rows(before))),
        "parent": revision.parent_id,
        "resources": [
            {"id": state.resource_id, "sha256": state.oid, "size": state.size}
            for state in states(package_id, revision.seq)
        ],
    }


def datasets_with(resource_id: str) -> list[str]:
    """Ids of the datasets whose history has the resource, the one that has it now first.

    There is more than one only if another dataset has taken over the id of a deleted resource.
    """
    s, now = tables.resource_state, model.resource_table
    query = (
        sa.select(s.c.package_id)
        .distinct()
        .outerjoin(now, (now.c.id == s.c.resource_id) & (now.c.package_id == s.c.package_id))
        .where(s.c.resource_id == resource_id)
        .add_columns(now.c.id.is_(None).label("gone"))
        .order_by(sa.text("gone"), s.c.package_id)
        .limit(_MAX_DATASETS)
    )
    return [row.package_id for row in _rows(query)]


#: Datasets in which one resource is looked for.
_MAX_DATASETS = 10


def states(package_id: str, seq: int, resource_id: str | None = None) -> list[Any]:
    """Rows of the resources' states in the revision, in the dataset's order, with ``body`` (JSON text).

    With *resource_id*, of that resource only.

    ``oid`` and ``size`` are what the revision's id was made from. ``file_oid`` and ``file_size`` are of the
    bytes that belong to the state: also of a file of CKAN's own FileStore, whose sha256 becomes known only
    when it is taken in. Until then it has a ``file_size`` and ``file_mtime_ns``, see `pins.mark_of`.
    """
    s, b, c = tables.resource_state, tables.metadata_blob, tables.classic_file
    one = s.c.resource_id == resource_id if resource_id is not None else sa.true()
    return _rows(
        sa.select(
            s,
            b.c.body,
            sa.func.coalesce(s.c.oid, c.c.oid).label("file_oid"),
            sa.func.coalesce(s.c.size, c.c.size).label("file_size"),
            c.c.mtime_ns.label("file_mtime_ns"),
        )
        .join(b, (b.c.package_id == s.c.package_id) & (b.c.sha == s.c.meta_sha))
        .outerjoin(c, same_state(s, c))
        .where(
            s.c.package_id == package_id,
            one,
            s.c.from_seq <= seq,
            s.c.to_seq.is_(None) | (s.c.to_seq > seq),
        )
        .order_by(s.c.position)
    )


def changed_files(package_id: str, seq: int) -> set[str]:
    """Ids of the resources that came, or got another file, in the revision."""
    r = tables.revision
    summary = sa.select(r.c.summary).where(r.c.package_id == package_id, r.c.seq == seq)
    changed = model.Session.execute(summary).scalar_one()["resources"]
    return {*changed["added"], *changed["bytes"]}


def holders(package_id: str, who: Viewer, oids: Collection[str]) -> list[tuple[str, str]]:
    """``(oid, resource id)`` of each resource that has one of *oids* in a revision that *who* may see."""
    r, s, c = tables.revision, tables.resource_state, tables.classic_file
    in_seen = sa.exists().where(
        visible(package_id, who),
        r.c.seq >= s.c.from_seq,
        s.c.to_seq.is_(None) | (r.c.seq < s.c.to_seq),
    )
    oid = sa.func.coalesce(s.c.oid, c.c.oid).label("oid")
    query = sa.select(oid, s.c.resource_id).distinct().outerjoin(c, same_state(s, c))
    found = _rows(query.where(s.c.package_id == package_id, oid.in_(list(oids)), in_seen))
    return [(row.oid, row.resource_id) for row in found]


def same_state(s: Any, c: Any) -> Any:
    """Condition: a row of `tables.classic_file` is about a row of `tables.resource_state`."""
    return sa.and_(*(c.c[name] == s.c[name] for name in ("package_id", "resource_id", "from_seq")))


def release_names(of: list[tuple[str, int]]) -> dict[tuple[str, int], list[str]]:
    """The names of the revisions given by dataset and number, in the order in which they were given."""
    release = tables.release
    datasets, seqs = {id for id, _ in of}, {seq for _, seq in of}
    query = (
        sa.select(release.c.package_id, release.c.seq, release.c.name)
        .where(release.c.package_id.in_(datasets), release.c.seq.in_(seqs))  # and some more
        .order_by(release.c.created, release.c.name)
    )
    names: dict[tuple[str, int], list[str]] = {}
    for row in _rows(query):
        names.setdefault((row.package_id, row.seq), []).append(row.name)
    return names


def as_dict(revision: Any, releases: list[str], *, parent_visible: bool) -> dict[str, Any]:
    """A revision as the API shows it.

    ``author`` is ``{id, name}`` or None where nobody is known. ``summary`` says what changed since the
    revision before (see `changes.Change`); None if that one is not visible.
    """
    return {
        **in_short(revision),
        "message": revision.message,
        "origin": revision.origin,
        "changeset": revision.changeset,
        "summary": revision.summary if parent_visible or revision.seq == 1 else None,
        "releases": releases,
    }


def in_short(revision: Any) -> dict[str, Any]:
    """Which revision it is, who made it, and when."""
    known = revision.author_id is not None or revision.author_name is not None
    return {
        "seq": revision.seq,
        "id": revision.id,
        "created": history.timestamp(revision.created),
        "author": {"id": revision.author_id, "name": revision.author_name} if known else None,
    }
