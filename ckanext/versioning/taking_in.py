"""Copies pinned files of CKAN's own FileStore into the object store, so that history keeps their bytes.

A file is read twice, once for its sha256 and once to be copied, with no transaction open and nothing
locked; only then a short transaction notes the sha256. Interrupted anywhere, the next call goes on; two at
once do the same work and end the same. The files themselves are only read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime, timezone
from typing import Any, Literal

import ckantoolkit as tk
from ckan import model
from redis.exceptions import RedisError

from ckanext.versioning import filestore, pins, reading, reverting, revisions
from ckanext.versioning.access import Viewer
from ckanext.versioning.pins import Pinned

log = logging.getLogger(__name__)

#: ``gone``: replaced or removed before it was taken in, so that its bytes are lost to history. ``unread``:
#: it is there and could not be read this time. ``forgotten``: nobody waits for it any more.
Outcome = Literal["taken", "gone", "unread", "forgotten"]

#: What a disk or a network does at least, in bytes per second; a job gets that much more time.
_SLOWEST = 5 << 20


def take_in(
    package_id: str | None = None, progress: Callable[[Pinned, Outcome], None] | None = None
) -> Counter[Outcome]:
    """Take in all pinned files of a dataset, or of all datasets (None); how many ended in which way.

    progress: called after each file; `pins.waiting` says beforehand which there are. Files that are gone
    are looked at again by the next call, in case they were only out of reach. Without external_storage
    there is no object store, and nothing is done.

    Raises `external_storage.errors.StorageError` if the object store is missing, full or out of reach.
    """
    counted: Counter[Outcome] = Counter()
    if not reading.has_files():
        return counted
    with _engine().connect() as connection:
        files = pins.waiting(connection, package_id)
    for file in files:
        outcome = _take_in(file)
        counted[outcome] += 1
        if outcome in ("gone", "unread"):
            log.warning(
                "The file of resource %s in dataset %s was not taken into the object store: %s",
                file.resource_id,
                file.package_id,
                WHY[outcome],
            )
        if progress:
            progress(file, outcome)
    return counted


#: What is to be said about a file that history goes on without.
WHY = {
    "gone": "it is not in CKAN's FileStore, or has been replaced since it was recorded.",
    "unread": "it could not be read. Try again: ckan versioning take-in.",
}


def _take_in(file: Pinned) -> Outcome:
    from ckanext.external_storage import config, errors  # versioning also runs without it
    from ckanext.external_storage.transfer import bringing

    source = filestore.open_marked(file.resource_id, file.mark)
    if source is None:
        return "gone"
    engine, now = _engine(), datetime.now(timezone.utc)
    with source:
        try:
            oid, size = bringing.measure(source)
        except OSError:
            return "unread"
        if not filestore.has_mark(source, file.mark):
            return "gone"
        with engine.connect() as connection:  # a dataset that is purged meanwhile brings nothing in
            if not pins.is_waiting(connection, file):
                return "forgotten"
        try:
            bringing.bring(engine, config.store(), "", file.package_id, source, oid, size, now)
        except (errors.WrongSize, errors.ChecksumMismatch):  # it changed, or could not be read again
            return "unread"
        except errors.UploadNotFound:
            return "forgotten"
    with engine.begin() as connection:
        pins.set_oid(connection, file, oid)
    return "taken"


def kept_for_revert(
    context: Any, package_id: str, revision: Any, parts: Collection[str] | None
) -> dict[str, str]:
    """Resource id → sha256 of the files that CKAN's own FileStore had in *revision* (a row), for `reverting`.

    What *parts* need and still waits is taken in first. The caller may change the dataset.

    Raises ValidationError if the object store does not take it, or if the caller is in the middle of a
    transaction: it would stay open for as long as the bytes are copied.
    """
    kept = pins.kept(model.Session, package_id, revision.seq)
    if pins.NOT_YET_KNOWN in kept.values():
        _take_in_lost(context, package_id, revision, parts, kept)
        kept = pins.kept(model.Session, package_id, revision.seq)
    return {id: oid for id, oid in kept.items() if oid != pins.NOT_YET_KNOWN}


def _take_in_lost(
    context: Any, package_id: str, revision: Any, parts: Collection[str] | None, kept: dict[str, str]
) -> None:
    from ckanext.external_storage import errors, plain_upload

    head = revisions.find(package_id, Viewer(None), "head")
    whole = parts is None or reverting.RESOURCES in parts
    lost = {
        id
        for id in reverting.lost(reading.recorded(head), reading.recorded(revision))
        if kept.get(id) == pins.NOT_YET_KNOWN and (whole or id in (parts or ()))
    }
    files = [
        Pinned(package_id, state.resource_id, mark)
        for state in revisions.states(package_id, revision.seq)
        if state.resource_id in lost and (mark := pins.mark_of(state))
    ]
    if not files:
        return
    if plain_upload.has_changes(context):
        raise tk.ValidationError(
            {"parts": ["A file cannot be brought back in the middle of a transaction. Commit it first."]}
        )
    model.Session.rollback()  # it is empty, and must not stay open meanwhile
    try:
        for file in files:
            _take_in(file)
    except errors.StorageError as error:
        raise tk.ValidationError({"parts": [str(error)]}) from error


def start_jobs(session: Any) -> None:
    """After a commit: have the files taken in that it has pinned.

    If no job can be started, ``ckan versioning take-in`` or the next save of the dataset does it.
    """
    if session.in_nested_transaction():
        return
    for package_id, size in pins.new(session).items():
        if not reading.has_files():
            continue
        timeout = tk.config["ckan.jobs.timeout"] + size // _SLOWEST
        title = f"Take in files of dataset {package_id}"
        try:
            tk.enqueue_job(take_in, [package_id], title=title, rq_kwargs={"timeout": timeout})
        except RedisError:  # the save is done, and says so
            log.warning(
                "The files of dataset %s wait for: ckan versioning take-in", package_id, exc_info=True
            )


def _engine() -> Any:
    if model.meta.engine is None:
        raise RuntimeError("CKAN's model has not been initialised.")
    return model.meta.engine
