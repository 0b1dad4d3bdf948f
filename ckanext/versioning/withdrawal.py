"""Datasets that were deleted, for those who could read them before: they are told so, and nobody else is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model
from flask import has_request_context

from ckanext.versioning import model as tables


class Withdrawn(tk.ObjectNotFound):
    """The caller could have read the dataset until it was deleted.

    ``seq`` and ``title`` are those of its last revision before that, ``deleted`` is when (None: not
    recorded). Callers inside CKAN that do not know this error take it for what it is, nothing to be found.
    Pages answer 410, the API 404 with a ``__type`` of its own.
    """

    def __init__(self, package_id: str, seq: int, title: str, deleted: datetime | None):
        when = f" on {deleted:%Y-%m-%d}" if deleted else ""
        super().__init__(
            f"This dataset was deleted{when}. What it was can be read again if somebody who may edit it "
            "restores it."
        )
        self.package_id = package_id
        self.seq = seq
        self.title = title
        self.deleted = deleted
        if has_request_context():
            tk.g.versioning_withdrawn = self


def withdrawn(package: Any, labels: Collection[str]) -> Withdrawn | None:
    """The error for somebody with these permission labels who may not read *package*.

    None unless it is deleted, and the newest revision in which it was not had one of the labels.
    """
    if package.state != model.State.DELETED:
        return None
    r, b, following = tables.revision, tables.metadata_blob, tables.revision.alias()
    deleted = sa.select(following.c.created).where(
        following.c.package_id == r.c.package_id, following.c.seq == r.c.seq + 1
    )
    last = (
        sa.select(
            r.c.seq,
            r.c.labels,
            _field("title").label("title"),
            _field("name").label("name"),
            deleted.scalar_subquery().label("deleted"),
        )
        .join(b, (b.c.package_id == r.c.package_id) & (b.c.sha == r.c.meta_sha))
        .where(r.c.package_id == package.id, _field("state") != model.State.DELETED)
        .order_by(r.c.seq.desc())
        .limit(1)
    )
    found: Any = model.Session.execute(last).first()
    if found is None or set(labels).isdisjoint(found.labels):
        return None
    return Withdrawn(package.id, found.seq, found.title or found.name, found.deleted)


def _field(name: str) -> Any:
    """A text of the dataset as it was recorded."""
    return tables.text_in(tables.metadata_blob.c.body, name)
