"""An upload begins: of a file that a browser has chosen, say, whose sha256 nobody knows yet."""

from __future__ import annotations

import hashlib
import io
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, insert

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore, SigningStore, key_maker
from ckanext.external_storage.transfer import links, quota, receiving, standing
from ckanext.external_storage.transfer.uploads import LIFETIME, Upload, end_lost, from_row, get

#: Up to here (bytes) a file is hashed first and then sent in one request, which the store checks.
SMALL = 16 << 20
EMPTY_OID = hashlib.sha256().hexdigest()


@dataclass(frozen=True)
class Limits:
    """``max_size``: bytes of one file. ``max_unfinished``: uploads of one user. None is for any.

    ``refused_types``: endings of names, without a dot and in lower case.
    """

    max_size: int | None = None
    max_unfinished: int | None = None
    refused_types: frozenset[str] = frozenset()


@dataclass(frozen=True)
class File:
    """What a client says of one that it wants to send. ``size`` in bytes; ``fingerprint``: any text by which
    it knows the file again."""

    size: int
    filename: str | None = None
    fingerprint: str | None = None
    oid: str | None = None


#: An upload, and whether it is new.
Begun = tuple[Upload, bool]


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


def check_name(limits: Limits, filename: str) -> None:
    """Raises TypeRefused, also for a name that only begins to end so: ``a.exe.`` is one for Windows."""
    parts = filename.lower().rstrip(". ").rsplit(".")
    for ending in (".".join(parts[-n:]) for n in range(1, len(parts))):
        if ending in limits.refused_types:
            raise errors.TypeRefused(ending)


def check_room(connection: sa.Connection, user_id: str, limits: Limits) -> None:
    """Whether the user has no more uploads under way than allowed. Raises TooManyUploads."""
    if _room(connection, user_id, limits) < 0:
        raise errors.TooManyUploads(limits.max_unfinished or 0)


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
) -> Begun:
    """`begin_all` of one file. Raises what that says of it."""
    file = File(size, filename, fingerprint, oid)
    (begun,) = begin_all(connection, store, user_id, package_id, owner_org, [file], now, limits)
    if isinstance(begun, errors.StorageError):
        raise begun
    return begun


def begin_all(
    connection: sa.Connection,
    store: ObjectStore,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    files: Sequence[File],
    now: datetime,
    limits: Limits = Limits(),
) -> list[Begun | errors.StorageError]:
    """For each of *files*, in order: an upload, and whether it is new; or why it cannot be begun.

    The same file of the same user goes on: "the same" is by ``oid``, else by ``fingerprint``; one that has
    arrived is being checked, or is the dataset's already. What the dataset has is verified at once.

    Errors are FileTooLarge, TypeRefused, HashNeeded, TooManyUploads, QuotaExceeded, UploadBusy; they do not
    affect others of *files*, and what fits is found in the order of the list. The number of SQL statements
    does not depend on how many files there are.

    owner_org: id of the organisation that the dataset has now, or will be created in.
    """
    files = [replace(file, oid=EMPTY_OID) if file.size == 0 else file for file in files]
    told: dict[int, Begun | errors.StorageError] = {}
    places: dict[object, int] = {}
    firsts: list[int] = []
    for place, file in enumerate(files):
        if refused := _refused(store, limits, file):
            told[place] = refused
        # Of the same file several times over, the first one counts.
        firsts.append(place if refused else places.setdefault(_identity(file, place), place))
    if package_id is not None:
        end_lost(connection, store, user_id, package_id, now)
    mine = _mine(user_id, package_id, owner_org)

    def rest() -> dict[int, File]:
        return {place: files[place] for place in places.values() if place not in told}

    told.update(_again(connection, store, mine, rest(), now))
    new = rest()
    oids = {file.oid for file in new.values() if file.oid}
    here = links.use(connection, package_id, oids, store) if package_id is not None and oids else {}
    coming = {place: file for place, file in new.items() if here.get(file.oid or "") != file.size}
    told.update(_without_room(connection, user_id, owner_org, coming, limits))
    if new := rest():
        made = {
            place: _row(store, user_id, package_id, owner_org, file, now, place not in coming)
            for place, file in new.items()
        }
        # In one order, so that no two calls wait for each other.
        rows = sorted(made.values(), key=lambda row: (row["declared_oid"] or "", row["fingerprint"] or ""))
        insertion = insert(model.upload).on_conflict_do_nothing().returning(*model.upload.c)
        inserted = {row.id: from_row(row) for row in connection.execute(insertion.values(rows))}
        told.update({p: (inserted[row["id"]], True) for p, row in made.items() if row["id"] in inserted})
    if late := rest():  # somebody else, or a second tab, was a moment earlier
        busy = errors.UploadBusy("Another upload of this file has just ended. Begin again.")
        told.update({**dict.fromkeys(late, busy), **_again(connection, store, mine, late, now)})
    return [told[first] if first == place else _not_new(told[first]) for place, first in enumerate(firsts)]


def take_in_empty(engine: sa.Engine, store: ObjectStore, upload: Upload) -> Upload:
    """A file of no bytes is put into the store by the server itself, when its beginning has been committed.

    Safe to repeat. Raises StoreUnavailable.
    """
    with engine.connect() as connection:
        now = standing.database_now(connection)
    receiving.receive(engine, store, upload, io.BytesIO(), now)
    with engine.connect() as connection:
        return get(connection, upload.id)


def begin_parts(engine: sa.Engine, store: SigningStore, upload: Upload) -> Upload:
    """Have the store collect parts of the upload, when the first of them is about to be sent.

    Safe to repeat. Raises StoreUnavailable.
    """
    if upload.store_ref is not None:
        return upload
    store_ref, table = store.begin_multipart(upload.key), model.upload
    unset = sa.and_(table.c.id == upload.id, table.c.store_ref.is_(None), table.c.state == "open")
    with engine.begin() as connection:
        first = connection.execute(table.update().values(store_ref=store_ref).where(unset)).rowcount
    if not first:  # another tab was a moment earlier, or the upload has ended
        store.abort_multipart(upload.key, store_ref)
    with engine.connect() as connection:
        return get(connection, upload.id)


def _not_new(begun: Begun | errors.StorageError) -> Begun | errors.StorageError:
    return begun if isinstance(begun, errors.StorageError) else (begun[0], False)


def _refused(store: ObjectStore, limits: Limits, file: File) -> errors.StorageError | None:
    try:
        check_size(store, limits, file.size)
        check_name(limits, file.filename or "")
        _transfer(store, file.size, file.oid)
    except (errors.FileTooLarge, errors.TypeRefused, errors.HashNeeded) as error:
        return error
    return None


def _identity(file: File, place: int) -> tuple[object, ...]:
    """Equal for what is the same file to `_again`; of a file that cannot be known again, its place."""
    return ("oid", file.oid, file.size) if file.oid else (file.fingerprint or place, file.size)


def _mine(user_id: str, package_id: str | None, owner_org: str | None) -> sa.ColumnElement[bool]:
    """The user's uploads to the dataset; without one, to new datasets of the organisation."""
    c = model.upload.c
    where = c.package_id == package_id
    if package_id is None:
        where = sa.and_(c.package_id.is_(None), c.owner_org.is_not_distinct_from(owner_org))
    return sa.and_(c.user_id == user_id, where)


def _again(
    connection: sa.Connection,
    store: ObjectStore,
    mine: sa.ColumnElement[bool],
    files: Mapping[int, File],
    now: datetime,
) -> dict[int, Begun]:
    """The uploads of those of *files* that have one; an open one that is asked for again lives on."""
    table, c = model.upload, model.upload.c
    if not any(file.oid or file.fingerprint for file in files.values()):
        return {}
    named = _named(files)
    # Locked in one order: two tabs may ask for the same files.
    chosen = sa.select(c.id).where(mine, named, c.state == "open").order_by(c.id).with_for_update()
    lives_on = table.update().values(expires_at=now + LIFETIME).where(c.id == chosen.cte("chosen").c.id)
    again = _matched(connection.execute(lives_on.returning(*c)), files)
    rest = {place: file for place, file in files.items() if place not in again}
    if not rest:
        return again
    # Each new dataset has files of its own. What is verified and has an oid is found by that in any case.
    link, object = model.link.c, model.object.c
    linked = (link.oid == c.oid, link.package_id == c.package_id, object.oid == link.oid)
    kept = sa.exists().where(*linked, links.reached(links.KEY))
    arrived = sa.or_(
        sa.and_(c.state == "received", links.reached(c.key)), sa.and_(c.state == "verified", kept)
    )
    query = sa.select(table).where(mine, c.package_id.is_not(None), _named(rest), arrived)
    found = connection.execute(query.order_by(c.created), links.in_reach(store))
    return {**again, **_matched(found, rest)}


def _named(files: Mapping[int, File]) -> sa.ColumnElement[bool]:
    oids = [file.oid for file in files.values() if file.oid]
    fingerprints = [file.fingerprint for file in files.values() if file.fingerprint]
    return sa.or_(
        model.upload.c.declared_oid == sa.any_(sa.literal(oids, ARRAY(sa.Text))),
        model.upload.c.fingerprint == sa.any_(sa.literal(fingerprints, ARRAY(sa.Text))),
    )


def _matched(rows: Iterable[sa.Row], files: Mapping[int, File]) -> dict[int, Begun]:
    """Of several uploads of a file, the last of *rows*."""
    found = [from_row(row) for row in rows]
    by_name = {(name, upload.size): upload for upload in found for name in (upload.oid, upload.fingerprint)}
    matched: dict[int, Begun] = {}
    for place, file in files.items():
        names = [(name, file.size) for name in (file.oid, file.fingerprint) if name]
        upload = next((by_name[name] for name in names if name in by_name), None)
        if upload and (file.oid is None or (upload.verified is None and upload.oid in (None, file.oid))):
            matched[place] = (upload, False)
    return matched


def _without_room(
    connection: sa.Connection,
    user_id: str,
    owner_org: str | None,
    files: Mapping[int, File],
    limits: Limits,
) -> dict[int, errors.StorageError]:
    """Those of *files* that do not fit any more, if they come in this order. Others of the same user or
    organisation wait until the transaction has ended."""
    if not files:
        return {}
    usage = quota.usage_now(connection, None, owner_org)
    used = usage.total if usage else 0
    room = _room(connection, user_id, limits)
    refused: dict[int, errors.StorageError] = {}
    for place, file in files.items():
        if room < 1:
            refused[place] = errors.TooManyUploads(limits.max_unfinished or 0)
        elif usage and usage.limit is not None and used + file.size > usage.limit:
            refused[place] = errors.QuotaExceeded(used, usage.limit, file.size)
        else:
            room, used = room - 1, used + file.size
    return refused


def _room(connection: sa.Connection, user_id: str, limits: Limits) -> float:
    """How many uploads the user may begin; below 0 if there are too many. Others of the same user wait until
    the transaction has ended."""
    if limits.max_unfinished is None:
        return math.inf
    lock = sa.func.hashtextextended(f"external_storage_upload {user_id}", 0)
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(lock)))
    table = model.upload
    unfinished = sa.select(sa.func.count()).where(
        table.c.user_id == user_id, table.c.state.in_(("open", "received"))
    )
    return limits.max_unfinished - connection.execute(unfinished).scalar_one()


def _row(
    store: ObjectStore,
    user_id: str,
    package_id: str | None,
    owner_org: str | None,
    file: File,
    now: datetime,
    here: bool,
) -> dict[str, Any]:
    """Of a new upload; *here*: the dataset has the file, and nothing is to be sent."""
    upload_id = str(uuid.uuid4())
    return {
        "id": upload_id,
        "package_id": package_id,
        "owner_org": owner_org,
        "user_id": user_id,
        "filename": file.filename,
        "fingerprint": file.fingerprint,
        "declared_oid": file.oid,
        "declared_size": file.size,
        "key": key_maker(store)(package_id, file.oid, file.size, upload_id),
        "transfer": _transfer(store, file.size, file.oid),
        "state": "verified" if here else "open",
        "oid": file.oid if here else None,
        "created": now,
        "expires_at": now + LIFETIME,
    }


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
