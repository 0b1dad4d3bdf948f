"""Files that are there as a whole, on this machine, on their way into the store."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import IO

import sqlalchemy as sa

from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.transfer import links, receiving, uploads


def measure(stream: IO[bytes]) -> tuple[str, int]:
    """sha256 and size in bytes; the stream is at its start before and after."""
    stream.seek(0)
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
    stream.seek(0)
    return digest.hexdigest(), size


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
        here = links.linked(connection, package_id, [oid])
        opened = (
            {} if here else uploads.open_uploads(connection, user_id, package_id, wanted, now, store=store)
        )
    for upload in opened.values():
        receiving.receive(engine, store, upload, stream, now)
