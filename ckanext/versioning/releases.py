"""Releases: names that somebody gave to revisions. Making one is a public act: whoever may read the dataset
may then read the revision and its files.

A name that was once given to a revision is never given to another one, not even after its release was
deleted: somebody may have cited it. What is said about a release can be changed; what it was is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import insert

from ckanext.versioning import history, numbering, refs, revisions
from ckanext.versioning import model as tables
from ckanext.versioning.access import Viewer
from ckanext.versioning.actor import Actor
from ckanext.versioning.errors import NoReleaseNumber, ReleaseExists, ReleaseNameUsed, ReleaseNotFound

#: Newest changes of a release that `changes` gives.
CHANGES = 100
#: What can be said about a release, and changed later: columns of `tables.release`.
SAID = ("title", "notes", "doi")


def create(
    package_id: str, who: Viewer, author: Actor, *, name: str | None, ref: str, said: Mapping[str, Any]
) -> dict[str, Any]:
    """Name the revision that *ref* stands for; does not commit. Returns `as_dict`.

    name: None for the next number. said: by `SAID`.

    Raises InvalidReleaseName, NoReleaseNumber, InvalidRef, RevisionNotFound, AmbiguousRef, ReleaseExists,
    ReleaseNameUsed.
    """
    if name is not None:
        refs.check_release_name(name)
    _lock(package_id)
    revision = revisions.find(package_id, who, ref)
    if name is None:
        name = proposal(package_id, revision.seq).name
        if name is None:
            raise NoReleaseNumber
    check_free(package_id, name, revision.seq)
    row = {
        "package_id": package_id,
        "name": name,
        "seq": revision.seq,
        **{field: said[field] for field in SAID},
        "author_id": author.id,
        "author_name": author.name,
        "created": sa.func.clock_timestamp(),
    }
    query = insert(tables.release).values(row).on_conflict_do_nothing().returning(tables.release.c.created)
    created = model.Session.execute(query).scalar()
    if created is None:
        raise ReleaseExists(name)
    return as_dict({**row, "created": created, "revision_id": revision.id})


def check_free(package_id: str, name: str, seq: int | None) -> None:
    """Raise ReleaseExists, or ReleaseNameUsed if *name* once meant a revision other than *seq*."""
    release, change = tables.release, tables.release_change
    taken = sa.select(release.c.seq).where(release.c.package_id == package_id, release.c.name == name)
    if model.Session.execute(taken).first():
        raise ReleaseExists(name)
    used = sa.select(change.c.seq).where(change.c.package_id == package_id, change.c.name == name).limit(1)
    before = model.Session.execute(used).scalar()
    if before not in (None, seq):
        raise ReleaseNameUsed(name, before)


def update(package_id: str, author: Actor, name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Change what is said about a release (some of `SAID`); does not commit. Returns `as_dict`.

    Raises ReleaseNotFound.
    """
    _lock(package_id)
    before = _row(package_id, name)
    if any(before[field] != value for field, value in said.items()):
        _keep(before, author, deleted=False)
        _of(sa.update(tables.release).values(**said), package_id, name)
    return as_dict({**before, **said})


def delete(package_id: str, author: Actor, name: str) -> None:
    """Take the name from its revision, which stays; does not commit. Raises ReleaseNotFound."""
    _lock(package_id)
    _keep(_row(package_id, name), author, deleted=True)
    _of(sa.delete(tables.release), package_id, name)


def _lock(package_id: str) -> None:
    # No save of this dataset commits between now and the end of the transaction: head stays head, and
    # nobody else names anything.
    model.Session.get(model.Package, package_id, with_for_update={"key_share": True})


def _of(statement: Any, package_id: str, name: str) -> None:
    release = tables.release
    model.Session.execute(statement.where(release.c.package_id == package_id, release.c.name == name))


def _keep(before: Any, author: Actor, *, deleted: bool) -> None:
    model.Session.execute(
        sa.insert(tables.release_change).values(
            **{column: before[column] for column in ("package_id", "name", "seq", *SAID)},
            deleted=deleted,
            author_id=author.id,
            author_name=author.name,
            created=sa.func.clock_timestamp(),
        )
    )


def _query(package_id: str) -> Any:
    r, release = tables.revision, tables.release
    return (
        sa.select(release, r.c.id.label("revision_id"))
        .join(r, (r.c.package_id == release.c.package_id) & (r.c.seq == release.c.seq))
        .where(release.c.package_id == package_id)
    )


def _row(package_id: str, name: str) -> Any:
    found = model.Session.execute(_query(package_id).where(tables.release.c.name == name)).mappings().first()
    if found is None:
        raise ReleaseNotFound(name)
    return found


def show(package_id: str, name: str) -> dict[str, Any]:
    """`as_dict` of a release. Raises ReleaseNotFound."""
    return as_dict(_row(package_id, name))


def listing(package_id: str) -> list[dict[str, Any]]:
    """`as_dict` of all releases, newest first."""
    release = tables.release
    query = _query(package_id).order_by(release.c.created.desc(), release.c.seq.desc())
    return [as_dict(row) for row in model.Session.execute(query).mappings()]


def changes(package_id: str, name: str) -> list[dict[str, Any]]:
    """What the name's release was before each of its changes, newest change first: ``author`` and ``created``
    are those of the change, ``deleted`` tells whether it was a deletion."""
    change = tables.release_change
    query = (
        sa.select(change)
        .where(change.c.package_id == package_id, change.c.name == name)
        .order_by(change.c.id.desc())
        .limit(CHANGES)
    )
    return [
        {
            "author": _author(row),
            "created": history.timestamp(row["created"]),
            "deleted": row["deleted"],
            **_said(row),
        }
        for row in model.Session.execute(query).mappings()
    ]


@dataclass(frozen=True)
class Proposal:
    """``name`` for the next release, None where the newest release's name has no number to count up.

    ``change`` is what happened since the newest release, which is called ``since``: ``files`` or
    ``metadata``; both are None for the first release.
    """

    name: str | None
    change: str | None
    since: str | None


def proposal(package_id: str, seq: int) -> Proposal:
    """What to call the release of revision *seq*."""
    existing = listing(package_id)
    if not existing:
        return Proposal(_next(package_id, existing, major=True), None, None)
    newest = existing[0]
    major = _files(package_id, newest["seq"]) != _files(package_id, seq)
    name = _next(package_id, existing, major=major)
    return Proposal(name, "files" if major else "metadata", newest["name"])


def next_names(package_id: str) -> tuple[str | None, str | None]:
    """The next name if files have changed since the newest release, and if not."""
    existing = listing(package_id)
    major = _next(package_id, existing, major=True)
    return major, _next(package_id, existing, major=False)


def _next(package_id: str, existing: list[dict[str, Any]], *, major: bool) -> str | None:
    change = tables.release_change
    once = sa.select(change.c.name).where(change.c.package_id == package_id).distinct()
    names = [release["name"] for release in existing]
    return numbering.next_name(names, {*names, *model.Session.execute(once).scalars()}, major=major)


def _files(package_id: str, seq: int) -> dict[str, Any]:
    """By resource, what tells its content from another: a stored file's sha256, else where it leads to."""
    found: dict[str, Any] = {}
    for state in revisions.states(package_id, seq):
        resource = json.loads(state.body) if state.oid is None and state.body else {}
        # CKAN's own FileStore overwrites files, and the time alone tells that it did.
        when = resource.get("last_modified") if resource.get("url_type") == "upload" else None
        found[state.resource_id] = state.oid or (resource.get("url"), when)
    return found


def as_dict(release: Any) -> dict[str, Any]:
    """A release as the API shows it; ``revision_ref`` is the id of its revision, ``seq`` its number."""
    return {
        "package_id": release["package_id"],
        "name": release["name"],
        **_said(release),
        "seq": release["seq"],
        "revision_ref": release["revision_id"],
        "author": _author(release),
        "created": history.timestamp(release["created"]),
    }


def _said(row: Any) -> dict[str, Any]:
    return {"title": row["title"], "description": row["notes"], "doi": row["doi"]}


def _author(row: Any) -> dict[str, Any] | None:
    known = row["author_id"] is not None or row["author_name"] is not None
    return {"id": row["author_id"], "name": row["author_name"]} if known else None
