"""Releases: names that somebody gave to revisions. Making one is a public act: whoever may read the dataset
may then read the revision and its files."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects.postgresql import insert

from ckanext.versioning import history, refs, revisions
from ckanext.versioning import model as tables
from ckanext.versioning.access import Viewer
from ckanext.versioning.actor import Actor
from ckanext.versioning.errors import ReleaseExists


def create(
    package_id: str, who: Viewer, author: Actor, *, name: str, title: str | None, notes: str, ref: str
) -> dict[str, Any]:
    """Name the revision that *ref* stands for; does not commit. Returns `as_dict`.

    Raises InvalidReleaseName, InvalidRef, RevisionNotFound, AmbiguousRef, ReleaseExists.
    """
    refs.check_release_name(name)
    # No save of this dataset commits between now and the end of the transaction: head stays head.
    model.Session.get(model.Package, package_id, with_for_update={"key_share": True})
    revision = revisions.find(package_id, who, ref)
    row = {
        "package_id": package_id,
        "name": name,
        "seq": revision.seq,
        "title": title,
        "notes": notes,
        "author_id": author.id,
        "author_name": author.name,
        "created": sa.func.clock_timestamp(),
    }
    query = insert(tables.release).values(row).on_conflict_do_nothing().returning(tables.release.c.created)
    created = model.Session.execute(query).scalar()
    if created is None:
        raise ReleaseExists(name)
    return as_dict({**row, "created": created, "revision_id": revision.id})


def listing(package_id: str) -> list[dict[str, Any]]:
    """`as_dict` of all releases, newest first."""
    r, release = tables.revision, tables.release
    query = (
        sa.select(release, r.c.id.label("revision_id"))
        .join(r, (r.c.package_id == release.c.package_id) & (r.c.seq == release.c.seq))
        .where(release.c.package_id == package_id)
        .order_by(release.c.created.desc(), release.c.seq.desc())
    )
    return [as_dict(row) for row in model.Session.execute(query).mappings()]


def as_dict(release: Any) -> dict[str, Any]:
    """A release as the API shows it; ``revision_ref`` is the id of its revision, ``seq`` its number."""
    known = release["author_id"] is not None or release["author_name"] is not None
    return {
        "package_id": release["package_id"],
        "name": release["name"],
        "title": release["title"],
        "description": release["notes"],
        "seq": release["seq"],
        "revision_ref": release["revision_id"],
        "author": {"id": release["author_id"], "name": release["author_name"]} if known else None,
        "created": history.timestamp(release["created"]),
    }
