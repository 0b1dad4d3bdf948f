"""The only list of what must go from the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import model

#: A dead key is deleted at once, and once more after this: a writer that was under way may still
#: have brought it back. Longer than any signed request lives, even by a clock that is minutes off.
SECOND_DELETE = timedelta(hours=25)


def bury(
    connection: sa.Connection,
    keys: Iterable[str],
    now: datetime,
    store_refs: Mapping[str, str | None] | None = None,
) -> None:
    """Put *keys* on the list of what must go from the store; never one that an object is kept under.

    store_refs: key → where the store collects its parts, which must go, too.
    """
    refs = store_refs or {}
    keys = set(keys)
    kept = sa.select(model.object.c.key).where(model.object.c.key.in_(keys))
    keys -= set(connection.execute(kept).scalars()) if keys else set()
    rows = [
        {"key": key, "not_before": now + SECOND_DELETE, "store_ref": refs.get(key)} for key in sorted(keys)
    ]
    if rows:
        connection.execute(insert(model.dead_key).on_conflict_do_nothing(), rows)


def is_dead(connection: sa.Connection, key: str) -> bool:
    """Whether *key* is on the list."""
    return (
        connection.execute(sa.select(model.dead_key.c.key).where(model.dead_key.c.key == key)).first()
        is not None
    )
