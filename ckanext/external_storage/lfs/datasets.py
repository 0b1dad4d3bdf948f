"""What the LFS server must know of CKAN's datasets: read-only SQL on CKAN's own tables.

Permission is not decided here: a token states it, and is bound to the dataset's id, or CKAN does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import sqlalchemy as sa

_package = sa.table("package", sa.column("id"), sa.column("name"), sa.column("state"), sa.column("owner_org"))
_group = sa.table("group", sa.column("id"), sa.column("name"))
_resource = sa.table(
    "resource",
    sa.column("package_id"),
    sa.column("state"),
    sa.column("url_type"),
    sa.column("extras", sa.Text),
)
#: What a role of its own must be allowed to read (roles.py).
TABLES = (_package, _group, _resource)

_asked = sa.bindparam("asked", type_=sa.Text)
_NAMED = (
    sa.select(_package.c.id, _package.c.owner_org, _group.c.name.label("organization"))
    .select_from(_package.outerjoin(_group, _group.c.id == _package.c.owner_org))
    .where(sa.or_(_package.c.id == _asked, _package.c.name == _asked))
    .where(_package.c.state != "deleted")
    .order_by((_package.c.id == _asked).desc())
    .limit(1)
)


@dataclass(frozen=True)
class Dataset:
    """A dataset that is not deleted. ``owner_org`` is the id of its organisation, ``organization`` the name;
    both are None without one."""

    id: str
    owner_org: str | None
    organization: str | None


def find(connection: sa.Connection, name_or_id: str) -> Dataset | None:
    """The dataset with this id, else with this name; deleted ones do not count."""
    row = connection.execute(_NAMED, {"asked": name_or_id}).first()
    return Dataset(row.id, row.owner_org, row.organization) if row else None


def current_oids(connection: sa.Connection, dataset: Dataset) -> set[str]:
    """sha256 of the files that the dataset's resources have now."""
    extras = connection.execute(
        sa.select(_resource.c.extras).where(
            _resource.c.package_id == dataset.id,
            _resource.c.state == "active",
            _resource.c.url_type == "upload",
            _resource.c.extras.is_not(None),
        )
    ).scalars()
    return {oid for text in extras if isinstance(oid := json.loads(text).get("sha256"), str)}
