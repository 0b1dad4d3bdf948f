"""How much history there is, and how much room it takes."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import catching_up
from ckanext.versioning import model as tables


def summary(limit: int) -> dict[str, Any]:
    """``datasets`` (``with_history``, ``without_history``), ``revisions``, ``releases``, ``bytes`` on disk
    with indexes, ``bytes_per_revision`` (None without revisions), and the *limit* ``largest`` histories by
    revisions: ``id``, ``name`` (None: the dataset is gone), ``revisions``, ``bytes`` (rows only).
    """
    r, release = tables.revision, tables.release
    revisions = _number(sa.select(sa.func.count()).select_from(r))
    size = sum(_number(sa.select(sa.func.pg_total_relation_size(table.name))) for table in tables.TABLES)
    return {
        "datasets": {
            "with_history": catching_up.with_history(),
            "without_history": catching_up.without_history(),
        },
        "revisions": revisions,
        "releases": _number(sa.select(sa.func.count()).select_from(release)),
        "bytes": size,
        "bytes_per_revision": round(size / revisions) if revisions else None,
        "largest": [
            {
                "id": row.package_id,
                "name": row.name,
                "revisions": row.revisions,
                "bytes": _bytes(row.package_id),
            }
            for row in _largest(limit)
        ],
    }


def _largest(limit: int) -> list[Any]:
    r, package = tables.revision, model.package_table
    count = sa.func.count().label("revisions")
    most = (
        sa.select(r.c.package_id, count)
        .group_by(r.c.package_id)
        .order_by(count.desc(), r.c.package_id)
        .limit(limit)
        .subquery()
    )
    query = (
        sa.select(most, package.c.name)
        .select_from(most.outerjoin(package, package.c.id == most.c.package_id))
        .order_by(most.c.revisions.desc(), most.c.package_id)
    )
    return list(model.Session.execute(query))


def _bytes(package_id: str) -> int:
    def rows_of(table: Any) -> int:
        # As stored: long texts are compressed, and are not read for this.
        size = sa.func.sum(sa.func.pg_column_size(sa.literal_column(table.name)))
        return _number(sa.select(size).select_from(table).where(table.c.package_id == package_id))

    return sum(map(rows_of, tables.TABLES))


def _number(query: Any) -> int:
    return int(model.Session.execute(query).scalar() or 0)
