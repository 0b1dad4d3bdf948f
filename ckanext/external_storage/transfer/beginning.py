"""An upload begins: of a file that a browser has chosen, say, whose sha256 nobody knows yet."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore, SigningStore, new_key
from ckanext.external_storage.transfer import quota
from ckanext.external_storage.transfer.uploads import LIFETIME, Upload, end_lost, from_row

#: Up to here (bytes) a file is hashed first and then sent in one request, which the store checks.
SMALL = 16 << 20
EMPTY_OID = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Limits:
    """``max_size``: bytes of one file. ``max_unfinished``: uploads of one user. None is for any."""

    max_size: int | None = None
    max_unfinished: int | None = None


def check_size(store: ObjectStore, limits: Limits, size: int) -> None:
    """Raises FileTooLarge."""
    most = [limits.max_size] if limits.max_size is not None else []
    if isinstance(store, SigningStore):
        most.append(store.object_limit)
    if most and size > min(most):
        raise errors.FileTooLarge(size, min(most))


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

    "The same" is by *oid* or by *fingerprint*, any text of the client's. owner_org: id of the organisation
    that the dataset has now, or will be created in.

    Raises FileTooLarge, TooManyUploads, QuotaExceeded, StoreUnavailable.
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
    key = new_key(store, package_id, oid, size, upload_id)
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
    if transfer == "multipart":
        assert isinstance(store, SigningStore)
        # Last, so that parts are hardly ever collected for a row that is not committed then.
        store_ref = store.begin_multipart(key)
        changed = model.upload.update().values(store_ref=store_ref).where(model.upload.c.id == upload_id)
        new = connection.execute(changed.returning(*model.upload.c)).one()
    return from_row(new), True


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
    """The open upload of the same file; asked for again, it lives on."""
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
    return from_row(row) if row else None


def _transfer(store: ObjectStore, size: int, oid: str | None) -> str:
    if size == 0:
        return "stream"  # there is nothing to send: the server puts it there itself
    if isinstance(store, SigningStore):
        return "put" if oid is not None and size <= min(SMALL, store.put_limit) else "multipart"
    if isinstance(store, AppendingStore):
        return "tus"
    raise errors.BadRequest("This site's file store takes whole files only: use the Git LFS batch API.", 501)
