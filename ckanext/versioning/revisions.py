"""Which revisions of a dataset somebody sees, which one a ref names, and how the API shows one.

Somebody who may read the dataset now sees a revision if it is released, if they may update the dataset
now, or if one of the permission labels that the dataset had then is theirs. The last of these the site can
limit to the newest revision. All answers (refs, places in the list, summaries) are made from visible revisions
only.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import history, refs
from ckanext.versioning import model as tables
from ckanext.versioning.access import Viewer
from ckanext.versioning.errors import AmbiguousRef, RevisionNotFound


def visible(package_id: str, who: Viewer) -> Any:
    """Condition on `tables.revision`: revisions of the dataset that *who* may see."""
    r, release = tables.revision, tables.release
    of_dataset = r.c.package_id == package_id
    if who.labels is None:
        return of_dataset
    released = sa.exists().where(release.c.package_id == r.c.package_id, release.c.seq == r.c.seq)
    readable_then = r.c.labels.overlap(list(who.labels))
    if not who.unreleased:
        readable_then &= r.c.seq == _head_seq(package_id)
    return of_dataset & (readable_then | released)


def find(package_id: str, who: Viewer, ref: str) -> Any:
    """The row of the revision that *ref* names; the forms of a ref are in `refs`.

    Raises InvalidRef, RevisionNotFound, AmbiguousRef.
    """
    form = refs.parse(ref)
    found = _rows(_released(package_id).where(tables.release.c.name == ref)) or _found(package_id, who, form)
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
    return model.Session.execute(sa.select(_head_seq(package_id))).scalar()


def _head_seq(package_id: str) -> Any:
    # An alias: inside a condition on revisions this is a query of its own.
    r = tables.revision.alias()
    return sa.select(sa.func.max(r.c.seq)).where(r.c.package_id == package_id).scalar_subquery()


def listing(
    package_id: str, who: Viewer, *, all: bool, limit: int, before_seq: int | None
) -> list[dict[str, Any]]:
    """`as_dict` of up to *limit* visible revisions with a ``seq`` below *before_seq*, newest first.

    Without *all*, of each changeset only its newest visible revision and the released ones.
    """
    r = tables.revision
    released = sa.exists().where(
        tables.release.c.package_id == r.c.package_id, tables.release.c.seq == r.c.seq
    )
    seen = (
        sa.select(
            r,
            released.label("released"),
            sa.func.lag(r.c.seq).over(order_by=r.c.seq).label("previous"),
            sa.func.lead(r.c.changeset).over(order_by=r.c.seq).label("next_changeset"),
        )
        .where(visible(package_id, who))
        .subquery()
    )
    query = sa.select(seen).order_by(seen.c.seq.desc()).limit(limit)
    if not all:
        last = seen.c.next_changeset.is_distinct_from(seen.c.changeset)
        query = query.where(last | seen.c.released)
    if before_seq is not None:
        query = query.where(seen.c.seq < before_seq)
    rows = _rows(query)
    names = _release_names(package_id, [row.seq for row in rows])
    return [as_dict(row, names.get(row.seq, []), parent_visible=row.previous == row.seq - 1) for row in rows]


def details(package_id: str, who: Viewer, revision: Any) -> dict[str, Any]:
    """`as_dict` of a revision with its ``parent`` and its ``resources`` as the ids were made from them.

    ``parent`` is the id of the revision before, None for the first. ``resources`` are ``{id, sha256, size}``
    in the dataset's order; sha256 and size (bytes) are None unless it is a stored file.
    """
    r = tables.revision
    before = sa.select(r.c.seq).where(visible(package_id, who), r.c.seq == revision.seq - 1)
    names = _release_names(package_id, [revision.seq])
    return {
        **as_dict(revision, names.get(revision.seq, []), parent_visible=bool(_rows(before))),
        "parent": revision.parent_id,
        "resources": [
            {"id": state.resource_id, "sha256": state.oid, "size": state.size}
            for state in states(package_id, revision.seq)
        ],
    }


def states(package_id: str, seq: int) -> list[Any]:
    """Rows of the resources' states in the revision, in the dataset's order, with ``body`` (JSON text)."""
    s, b = tables.resource_state, tables.metadata_blob
    return _rows(
        sa.select(s, b.c.body)
        .join(b, (b.c.package_id == s.c.package_id) & (b.c.sha == s.c.meta_sha))
        .where(
            s.c.package_id == package_id,
            s.c.from_seq <= seq,
            s.c.to_seq.is_(None) | (s.c.to_seq > seq),
        )
        .order_by(s.c.position)
    )


def holders(package_id: str, who: Viewer, oids: Collection[str]) -> list[tuple[str, str]]:
    """``(oid, resource id)`` of each resource that has one of *oids* in a revision that *who* may see."""
    r, s = tables.revision, tables.resource_state
    seen = sa.exists().where(
        visible(package_id, who),
        r.c.seq >= s.c.from_seq,
        s.c.to_seq.is_(None) | (r.c.seq < s.c.to_seq),
    )
    query = sa.select(s.c.oid, s.c.resource_id).distinct()
    return [
        (row.oid, row.resource_id)
        for row in _rows(query.where(s.c.package_id == package_id, s.c.oid.in_(list(oids)), seen))
    ]


def _release_names(package_id: str, seqs: list[int]) -> dict[int, list[str]]:
    release = tables.release
    query = (
        sa.select(release.c.seq, release.c.name)
        .where(release.c.package_id == package_id, release.c.seq.in_(seqs))
        .order_by(release.c.created, release.c.name)
    )
    names: dict[int, list[str]] = {}
    for row in _rows(query):
        names.setdefault(row.seq, []).append(row.name)
    return names


def as_dict(revision: Any, releases: list[str], *, parent_visible: bool) -> dict[str, Any]:
    """A revision as the API shows it.

    ``author`` is ``{id, name}`` or None where nobody is known. ``summary`` says what changed since the
    revision before (see `changes.Change`); None if that one is not visible.
    """
    known = revision.author_id is not None or revision.author_name is not None
    return {
        "seq": revision.seq,
        "id": revision.id,
        "created": history.timestamp(revision.created),
        "author": {"id": revision.author_id, "name": revision.author_name} if known else None,
        "message": revision.message,
        "origin": revision.origin,
        "changeset": revision.changeset,
        "summary": revision.summary if parent_visible or revision.seq == 1 else None,
        "releases": releases,
    }
