"""An upload begins: of a file that a browser has chosen, say, whose sha256 nobody knows yet."""

from __future__ import annotations

import hashlib
import io
import math
import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore, SigningStore, key_maker
from ckanext.external_storage.transfer import links, quota, receiving, standing
from ckanext.external_storage.transfer.uploads import LIFETIME, Upload, end_lost, from_row, get

#: Up to here (bytes) a file is hashed first and then sent in one request, which the store checks.
SMALL = 16 << 20
EMPTY_OID = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Limits:
    """``max_size``: bytes of one file. ``max_unfinished``: uploads of one user. None is for any."""

    max_size: int | None = None
    max_unfinished: int | None = None


def largest(store: ObjectStore, limits: Limits) -> float:
    """Bytes that a file may have; infinity for any."""
    most = [math.inf if limits.max_size is None else limits.max_size]
    if isinstance(store, SigningStore):
        most.append(store.object_limit)
    return min(most)


def check_size(store: ObjectStore, limits: Limits, size: int) -> None:
    """Raises FileTooLarge."""
    if size > (most := largest(store, limits)):
        raise errors.FileTooLarge(size, int(most))


def check_room(connection: sa.Connection, user_id: str, limits: Limits, more: int = 1) -> None:
    """Whether the user may begin *more* uploads; others of the same user wait until this has committed.

    Raises TooManyUploads.
    """
    if limits.max_unfinished is None:
        return
    lock = sa.func.hashtextextended(f"external_storage_upload {user_id}", 0)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
    table = model.upload
    unfinished = sa.select(sa.func.count()).where(
        table.c.user_id == user_id, table.c.state.in_(("open", "received"))
    )
    if connection.execute(unfinished).scalar_one() + more > limits.max_unfinished:
        raise errors.TooManyUploads(limits.max_unfinished)


def begin(
    connection: sa.Connection,
    store: ObjectStore,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    size: int,
    now: datetime,
    *,
    filename: str | None = None,
    fingerprint: str | None = None,
    oid: str | None = None,
    limits: Limits = Limits(),
) -> tuple[Upload, bool]:
    """An upload of *size* bytes, and whether it is new: the same file of the same user goes on.

    "The same" is by *oid* or by *fingerprint*, any text of the client's; one that has arrived is being checked,
    or is the dataset's already. owner_org: id of the organisation that the dataset has now, or will be created
    in.

    What the dataset has is verified at once. `prepare` follows, when this is committed.

    Raises FileTooLarge, TooManyUploads, QuotaExceeded, HashNeeded; the transaction must not be committed
    then.
    """
    check_size(store, limits, size)
    if size == 0:
        oid = EMPTY_OID
    if package_id is not None:
        end_lost(connection, user_id, package_id, now)
    if found := _again(connection, user_id, package_id, owner_org, size, fingerprint, oid, now):
        return found, False
    check_room(connection, user_id, limits)
    upload_id = str(uuid.uuid4())
    key = key_maker(store)(package_id, oid, size, upload_id)
    transfer = _transfer(store, size, oid)
    row = {
        "id": upload_id,
        "package_id": package_id,
        "owner_org": owner_org,
        "user_id": user_id,
        "filename": filename,
        "fingerprint": fingerprint,
        "declared_oid": oid,
        "declared_size": size,
        "key": key,
        "transfer": transfer,
        "state": "open",
        "created": now,
        "expires_at": now + LIFETIME,
    }
    made = connection.execute(
        insert(model.upload).values(row).on_conflict_do_nothing().returning(*model.upload.c)
    )
    if (new := made.first()) is None:  # somebody else, or a second tab, was a moment earlier
        found = _again(connection, user_id, package_id, owner_org, size, fingerprint, oid, now)
        if found is None:
            raise errors.UploadBusy("Another upload of this file has just ended. Begin again.")
        return found, False
    quota.check(connection, package_id, owner_org, size)
    here = links.linked(connection, package_id, [oid]).get(oid) if package_id and oid else None
    if here and here.size == size:  # the dataset has it: nothing is to be sent
        receiving.verify(connection, from_row(new), here.oid, now)
        return get(connection, upload_id), True
    return from_row(new), True


def prepare(engine: sa.Engine, store: ObjectStore, upload: Upload) -> Upload:
    """What the server does at the store before a client can send: after `begin` has been committed.

    Safe to repeat. Raises StoreUnavailable.
    """
    if upload.state != "open":
        return upload
    if upload.size == 0:
        with engine.connect() as connection:
            now = standing.database_now(connection)
        receiving.receive(engine, store, upload, io.BytesIO(), now)
    elif upload.transfer == "multipart" and upload.store_ref is None:
        assert isinstance(store, SigningStore)
        store_ref, table = store.begin_multipart(upload.key), model.upload
        with engine.begin() as connection:
            unset = sa.and_(table.c.id == upload.id, table.c.store_ref.is_(None), table.c.state == "open")
            first = connection.execute(table.update().values(store_ref=store_ref).where(unset)).rowcount
        if not first:  # another tab was a moment earlier
            store.abort_multipart(upload.key, store_ref)
    else:
        return upload
    with engine.connect() as connection:
        return get(connection, upload.id)


def _again(
    connection: sa.Connection,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    size: int,
    fingerprint: str | None,
    oid: str | None,
    now: datetime,
) -> Upload | None:
    """The upload of the same file; an open one that is asked for again lives on."""
    table = model.upload
    if oid is not None:
        same = table.c.declared_oid == oid
    elif fingerprint is not None:
        same = table.c.fingerprint == fingerprint
    else:
        return None
    if package_id is None:  # each new dataset has files of its own
        where = sa.and_(table.c.package_id.is_(None), table.c.owner_org.is_not_distinct_from(owner_org))
    else:
        where = table.c.package_id == package_id
    row = connection.execute(
        table.update()
        .values(expires_at=now + LIFETIME)
        .where(
            table.c.user_id == user_id, where, same, table.c.declared_size == size, table.c.state == "open"
        )
        .returning(*table.c)
    ).first()
    if row is None and package_id is not None:
        row = connection.execute(
            sa.select(table)
            .where(table.c.user_id == user_id, where, same, table.c.declared_size == size)
            .where(sa.or_(table.c.state == "received", _still_there(fingerprint if oid is None else None)))
            .order_by(table.c.created.desc())
            .limit(1)
        ).first()
    return from_row(row) if row else None


def _still_there(fingerprint: str | None) -> sa.ColumnElement[bool]:
    """Verified, and its file still the dataset's. By oid that is found anyway, whoever has brought it."""
    if fingerprint is None:
        return sa.false()
    table, link = model.upload, model.link
    kept = sa.exists().where(link.c.oid == table.c.oid, link.c.package_id == table.c.package_id)
    return sa.and_(table.c.state == "verified", kept)


def _transfer(store: ObjectStore, size: int, oid: str | None) -> str:
    if size == 0:
        return "stream"  # there is nothing to send: the server puts it there itself
    if isinstance(store, SigningStore):
        return "put" if oid is not None and size <= min(SMALL, store.put_limit) else "multipart"
    if isinstance(store, AppendingStore):
        return "tus"
    if oid is None:  # an LFS server knows files by nothing else
        raise errors.HashNeeded
    return "put"
