"""When the bytes of an upload can be looked at for good."""

from __future__ import annotations

import sqlalchemy as sa

from ckanext.external_storage import model
from ckanext.external_storage.storage.base import SERVER_KEYS


def settled() -> sa.ColumnElement[bool]:
    """Can nobody write any more what an upload has brought to an external server?

    A store of ours keeps what it has; there, nothing has to be waited for.
    """
    table, other = model.upload, model.upload.alias()
    writable = sa.exists().where(
        other.c.package_id == table.c.package_id,
        other.c.declared_oid == table.c.declared_oid,
        other.c.signed_until > sa.func.now(),
    )
    return sa.or_(sa.not_(table.c.key.startswith(SERVER_KEYS, autoescape=True)), sa.not_(writable))
