"""Names that datasets had before: an address that somebody cited leads to the dataset that it was about."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.versioning import access, revisions
from ckanext.versioning import model as tables
from ckanext.versioning.access import Viewer

#: So many of the times that a dataset gave up a name are looked at, the last ones.
_TIMES = 10


def current_name(context: Any, name: str) -> str | None:
    """What the dataset is called now that had *name* and gave it up; None if a dataset has it again.

    Of several, the one that had it last. Told only to those who may read that dataset, and a revision in
    which it had the name.
    """
    if not name.isprintable() or model.Package.get(name) is not None:
        return None
    for package_id in _had(name):
        asking = tk.fresh_context(context)
        try:
            package = access.readable(asking, package_id, "package_show", {"id": package_id})
        except tk.ObjectNotFound:
            continue
        if _was_seen(package_id, access.viewer(asking, package_id), name):
            return package.name
    return None


def _had(name: str) -> list[str]:
    """Ids of the datasets that were renamed from it, the last one first."""
    renamed, before = tables.revision, tables.revision.alias()
    b = tables.metadata_blob
    query = (
        sa.select(before.c.package_id)
        .join(renamed, (renamed.c.package_id == before.c.package_id) & (renamed.c.seq == before.c.seq + 1))
        .join(b, (b.c.package_id == before.c.package_id) & (b.c.sha == before.c.meta_sha))
        # There is an index of these, which are few.
        .where(sa.text("versioning_revision.summary -> 'fields' ? 'name'"))
        .where(_name_in(b) == name)
        .order_by(renamed.c.created.desc())
        .limit(_TIMES)
    )
    return list(dict.fromkeys(model.Session.execute(query).scalars()))


def _was_seen(package_id: str, who: Viewer, name: str) -> bool:
    r, b = tables.revision, tables.metadata_blob
    query = (
        sa.select(r.c.seq)
        .join(b, (b.c.package_id == r.c.package_id) & (b.c.sha == r.c.meta_sha))
        .where(revisions.visible(package_id, who), _name_in(b) == name)
        .limit(1)
    )
    return model.Session.execute(query).first() is not None


def _name_in(blob: Any) -> Any:
    return tables.text_in(blob.c.body, "name")
