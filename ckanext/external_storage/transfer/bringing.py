"""Files that are there as a whole, on this machine, on their way into the store."""

from __future__ import annotations

import os
import uuid
from datetime import datetime
from typing import IO

import sqlalchemy as sa

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import ObjectStore, key_maker, may_have, sha256_of
from ckanext.external_storage.transfer import links, quota, receiving, uploads
from ckanext.external_storage.transfer.dead_keys import bury


def measure(stream: IO[bytes]) -> tuple[str, int]:
    """sha256 and size in bytes; the stream is at its start before and after."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    oid = sha256_of(stream)
    stream.seek(0)
    return oid, size


def bring(
    engine: sa.Engine,
    store: ObjectStore,
    user_id: str,
    package_id: str,
    stream: IO[bytes],
    oid: str,
    size: int,
    now: datetime,
) -> None:
    """Make a measured file an object of the dataset; bytes that it has already are not copied again.

    Safe to repeat, and safe to run twice at once. The caller has no transaction open. Raises as
    `receiving.receive` does: ChecksumMismatch, say, if the file is not what was measured any more.
    """
    wanted = {oid: size}
    with engine.begin() as connection:
        linked = links.linked(connection, package_id, [oid]).get(oid)
        here = linked is not None and may_have(store, linked.key)
        opened = (
            {} if here else uploads.open_uploads(connection, user_id, package_id, wanted, now, store=store)
        )
    for upload in opened.values():
        receiving.receive(engine, store, upload, stream, now)


def take(
    engine: sa.Engine,
    store: ObjectStore,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    filename: str,
    stream: IO[bytes],
    now: datetime,
) -> str:
    """Make a file whose sha256 is not known an object, in one reading; the id of its verified upload.

    Without *package_id* it is a file of a dataset that is about to be created in *owner_org*: see
    `attaching`. No transaction is open while the bytes are copied. Raises as `receiving.receive` does, and
    QuotaExceeded.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    upload = _opened(engine, store, user_id, package_id, owner_org, filename, size, now)
    try:
        oid = store.put(upload.key, stream, size, None)
    except errors.StorageError:
        _give_up(engine, upload, now)
        raise
    receiving.keep(engine, store, upload, oid, now)
    return upload.id


def _opened(
    engine: sa.Engine,
    store: ObjectStore,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    filename: str,
    size: int,
    now: datetime,
) -> uploads.Upload:
    upload_id = str(uuid.uuid4())
    key = key_maker(store)(package_id, None, size, upload_id)
    with engine.begin() as connection:
        new = model.upload.insert().values(
            id=upload_id,
            package_id=package_id,
            owner_org=owner_org,
            user_id=user_id,
            filename=filename,
            declared_size=size,
            key=key,
            state="open",
            expires_at=now + uploads.LIFETIME,
        )
        row = connection.execute(new.returning(*model.upload.c)).one()
        quota.check(connection, package_id, owner_org, size)
    return uploads.from_row(row)


def _give_up(engine: sa.Engine, upload: uploads.Upload, now: datetime) -> None:
    table = model.upload
    ended = table.update().values(state="expired").where(table.c.id == upload.id, table.c.state == "open")
    with engine.begin() as connection:
        connection.execute(ended)
        bury(connection, [upload.key], now)
