"""The work of every hour: what nobody finished ends, and what nobody needs goes from the store."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from ckanext.external_storage import model
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.transfer.uploads import LIFETIME, expire


def sweep(engine: sa.Engine, store: ObjectStore, now: datetime) -> int:
    """End uploads whose time is over and delete dead bytes; how many keys were deleted for good.

    Call it every hour or so. Interrupted anywhere, the next call goes on where this one stopped.
    """
    with engine.begin() as connection:
        expire(connection, sa.true(), now)
    with engine.connect() as connection:
        dead = connection.execute(sa.select(model.dead_key)).all()
    for row in dead:
        store.delete(row.key)
    gone = [row.key for row in dead if row.not_before <= now]
    with engine.begin() as connection:
        connection.execute(model.dead_key.delete().where(model.dead_key.c.key.in_(gone)))
    store.delete_unfinished(now - LIFETIME)
    return len(gone)
