"""Files that clients have brought to an external LFS server themselves: found there, checked, or believed."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ServerStore
from ckanext.external_storage.transfer import finishing, uploads
from ckanext.external_storage.transfer.finishing import Later
from ckanext.external_storage.transfer.uploads import Upload

#: For how long the outcome of a check stands in for another one of the same file.
_REMEMBERED = timedelta(minutes=10)


def claim(
    engine: sa.Engine, store: ServerStore, user_id: str, package_id: str, oid: str, size: int, now: datetime
) -> Upload:
    """The upload that stands for a file of *size* bytes which somebody says is at the server."""
    table = model.upload
    with engine.begin() as connection:
        row = connection.execute(
            sa.select(table)
            .where(
                table.c.package_id == package_id,
                table.c.declared_oid == oid,
                table.c.declared_size == size,
                sa.or_(
                    table.c.state == "received",
                    sa.and_(table.c.state == "open", table.c.user_id == user_id, table.c.expires_at > now),
                    sa.and_(table.c.state == "rejected", table.c.created > now - _REMEMBERED),
                ),
            )
            .order_by(sa.case((table.c.state == "rejected", 1), else_=0), table.c.created.desc())
            .limit(1)
        ).first()
        if row is not None:
            return uploads.from_row(row)
        opened = uploads.open_uploads(
            connection, user_id, package_id, {oid: size}, now, lambda size: "put", store
        )
        return opened[oid]


def arrived(
    engine: sa.Engine, store: ServerStore, upload: Upload, later: Later, believed: bool, writable: timedelta
) -> str:
    """A client says that all bytes are at the server; what the upload is now: ``verified``, ``received``
    while it waits to be checked, or ``unverified`` where the server is *believed*.

    writable: how long a client that was not told by us how to send may still write, beside the life of an
    action. Raises BytesMissing, UploadRejected, UploadOver, StoreUnavailable.
    """
    if upload.state == "open":
        action = store.download_action(upload.key)
        if action is None:
            raise errors.BytesMissing(upload.size, 0)
        with engine.begin() as connection:
            if believed:
                _believe(connection, upload)
                return "unverified"
            if writable:
                uploads.signed(connection, {upload.id: action.expires_at + writable})
    return finishing.complete(engine, store, upload, later).state


def _believe(connection: sa.Connection, upload: Upload) -> None:
    new_object = insert(model.object).values(oid=upload.oid, size=upload.size, key=upload.key, hashed=False)
    connection.execute(new_object.on_conflict_do_nothing(index_elements=["oid"]))
    new_link = insert(model.link).values(
        oid=upload.oid,
        package_id=upload.package_id,
        upload_id=upload.id,
        own_key=upload.key,
        unverified_size=upload.size,
    )
    connection.execute(new_link.on_conflict_do_nothing())
