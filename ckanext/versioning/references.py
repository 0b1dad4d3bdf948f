"""Which stored files the history needs: those of all states of resources, also where a revision is hidden."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ckanext.versioning import model as tables


def selects() -> list[sa.Select[Any]]:
    """``package_id, oid`` of each, for `IObjectReferences`."""
    return [
        sa.select(table.c.package_id, table.c.oid).where(table.c.oid.is_not(None))
        for table in (tables.resource_state, tables.classic_file)
    ]
