"""Uploads of browsers and scripts: begun, signed part by part, shown, completed, ended. Messages are JSON."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch, callers, forwarding, upload_access
from ckanext.external_storage.lfs.access import by_token
from ckanext.external_storage.lfs.messages import answer, body
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore, Part, ServerStore, SigningStore
from ckanext.external_storage.transfer import beginning, finishing, standing, uploads
from ckanext.external_storage.transfer.beginning import Begun, File
from ckanext.external_storage.transfer.uploads import Upload

#: How long a signed request may wait to be sent.
SIGNED_FOR = timedelta(minutes=15)
#: Parts that are signed at a time.
MAX_NUMBERS = 100
#: Files that are begun at a time.
MAX_FILES = 100
_MAX_TEXT = 500
_OID = re.compile(r"[0-9a-f]{64}")


def begin(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    """``{size, filename?, fingerprint?, oid?}`` → an upload; 201 if it is new, 200 if it goes on.

    ``{files: [{size, …}, …]}`` → 200 and ``{files: […]}``: for each, in order, an upload or an ``error``.
    """
    token = callers.bearer_token(settings, request)
    message = batch.parse_json(body(request))
    many = "files" in message
    files = [_file_or_error(item) for item in _files(message)] if many else [_file(message)]
    engine, store = settings.engine(), settings.store()
    with engine.begin() as connection:
        callers.check_not_revoked(connection, token.jti, token.user_id)
        found = callers.find_dataset(settings, connection, organization, dataset)
        granted = by_token(token, found.id)
        if not granted:
            raise errors.DatasetNotFound
        if not granted.write or granted.user_id is None:
            raise errors.Forbidden("This token does not allow uploading to the dataset.")
        now = standing.database_now(connection)
        wanted = [file for file in files if isinstance(file, File)]
        begun = beginning.begin_all(
            connection, store, granted.user_id, found.id, found.owner_org, wanted, now, settings.limits()
        )
    until: dict[str, datetime] = {}
    answers = [_begun(settings, store, item, until) for item in begun]
    if until:
        with engine.begin() as connection:
            uploads.signed(connection, until)
    if many:
        in_order = iter(answers)
        return answer({"files": [next(in_order) if isinstance(file, File) else file for file in files]})
    (only,) = begun
    if isinstance(only, errors.StorageError):
        raise only
    return answer(answers[0], 201 if only[1] else 200)


def show(settings: Settings, request: Request, upload_id: str) -> Response:
    """How far it is. Parts are those that the store has."""
    upload = upload_access.for_user(settings, request, upload_id)
    return answer(_state(settings, upload))


def sign_parts(settings: Settings, request: Request, upload_id: str) -> Response:
    """``{numbers: [1, 2]}`` → a signed request for each of these parts."""
    upload = upload_access.for_user(settings, request, upload_id)
    numbers = batch.parse_json(body(request)).get("numbers")
    store = settings.store()
    if upload.transfer != "multipart" or not isinstance(store, SigningStore):
        raise errors.BadRequest("This upload is not sent in parts to the store.", 409)
    uploads.require_open(upload)
    part_size = store.part_size(upload.size)
    last = -(-upload.size // part_size)
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_NUMBERS:
        raise errors.BadRequest(f'"numbers" must be a list of 1 to {MAX_NUMBERS} numbers of parts.', 422)
    if not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= last for n in numbers):
        raise errors.BadRequest(f"Parts have numbers from 1 to {last}.", 422)
    upload = beginning.begin_parts(settings.engine(), store, upload)
    uploads.require_open(upload)
    assert upload.store_ref is not None  # of an open one, from now on
    signed = {}
    for number in numbers:
        size = part_size if number < last else upload.size - part_size * (last - 1)
        signed[number] = store.sign_part(upload.key, upload.store_ref, number, size, SIGNED_FOR)
    with settings.engine().begin() as connection:
        uploads.progressed(connection, upload.id, max(part.expires_at for part in signed.values()))
    return answer(
        {
            "parts": [
                {"number": n, "href": s.href, "header": s.header, "expires_at": s.expires_at.isoformat()}
                for n, s in signed.items()
            ]
        }
    )


def complete(settings: Settings, request: Request, upload_id: str) -> Response:
    """``{oid?}`` → 200 verified, 202 being checked. Safe to repeat.

    200 unverified: an external server has it, which is believed; the upload stays open.
    """
    upload = upload_access.for_user(settings, request, upload_id)
    oid = _oid(batch.parse_json(body(request)))
    if oid is not None and upload.oid not in (None, oid):
        raise errors.ChecksumMismatch(upload.oid or "", oid)
    store = settings.store()
    if isinstance(store, ServerStore) and upload.state == "open":
        if forwarding.arrived(settings, store, upload) == "unverified":
            return answer({**_described(settings, upload), "state": "unverified", "oid": upload.oid})
        with settings.engine().connect() as connection:
            upload = uploads.get(connection, upload.id)
    upload = finishing.complete(settings.engine(), store, upload, settings.check_later)
    if upload.state == "received":
        if not settings.checker_alive():
            raise errors.NoWorker
        return answer(_state(settings, upload), 202)
    if oid is not None and upload.verified != oid:
        raise errors.ChecksumMismatch(oid, upload.verified or "")
    return answer(_state(settings, upload))


def discard(settings: Settings, request: Request, upload_id: str) -> Response:
    """End it; what has arrived goes. A file that is complete stays."""
    upload = upload_access.for_user(settings, request, upload_id)
    if upload.state == "verified":
        raise errors.BadRequest("This upload is complete: the file belongs to the dataset.", 409)
    with settings.engine().begin() as connection:
        uploads.discard(connection, upload.id, standing.database_now(connection))
    return Response(status=204)


def _files(message: dict[str, Any]) -> list[Any]:
    files = message["files"]
    if not isinstance(files, list) or not files:
        raise errors.BadRequest('"files" must be a list of files, each with a "size".', 422)
    if len(files) > MAX_FILES:
        raise errors.BadRequest(
            f"At most {MAX_FILES} files can be begun in one request, and this one has {len(files)}. Send the"
            " others in further requests.",
            413,
        )
    return files


def _file_or_error(given: Any) -> File | dict[str, Any]:
    try:
        return _file(given)
    except errors.BadRequest as error:
        return _error(error)


def _file(given: Any) -> File:
    size = given.get("size") if isinstance(given, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise errors.BadRequest('"size" must be a number of bytes, 0 or more.', 422)
    return File(size, _text(given, "filename"), _text(given, "fingerprint"), _oid(given))


def _error(error: errors.StorageError) -> dict[str, Any]:
    return {"error": {"status": error.status, "code": error.code, "message": str(error)}}


def _begun(
    settings: Settings,
    store: ObjectStore,
    item: Begun | errors.StorageError,
    until: dict[str, datetime],
) -> dict[str, Any]:
    """What is said of a file that was asked for: an upload and where to send its bytes, or an error.

    *until*: gets the upload's id, and until when a signed request for it can write.
    Raises StoreUnavailable.
    """
    if isinstance(item, errors.StorageError):
        return _error(item)
    upload, new = item
    if upload.transfer == "stream" and upload.size == 0 and upload.state == "open":
        upload = beginning.take_in_empty(settings.engine(), store, upload)
    told = {**_described(settings, upload), "new": new}
    if upload.state == "open" and upload.transfer == "tus":
        told["href"] = f"{settings.url}/uploads/{upload.id}/tus"
    if upload.state == "open" and upload.transfer == "put" and isinstance(store, SigningStore):
        signed = store.sign_put(upload.key, upload.oid or "", upload.size, SIGNED_FOR)
        until[upload.id] = signed.expires_at
        told.update(href=signed.href, header=signed.header)
    if upload.state == "open" and isinstance(store, ServerStore):
        told["transfer"] = "put"  # also where git-lfs has begun it
        action = forwarding.upload_action(settings, store, upload)
        if action is not None:  # else the server has some bytes of that size already
            told.update(href=action.href, header=action.header)
    return told


def _state(settings: Settings, upload: Upload) -> dict[str, Any]:
    told, store = _described(settings, upload), settings.store()
    if upload.state == "open" and upload.transfer == "tus" and isinstance(store, AppendingStore):
        told["offset"] = store.offset(upload.key)
    if upload.state == "open" and upload.store_ref is not None and isinstance(store, SigningStore):
        told["parts"] = [{"number": part.number, "size": part.size} for part in _parts(store, upload)]
    if upload.state == "received":
        told["progress"] = upload.hashed
    return told


def _parts(store: SigningStore, upload: Upload) -> list[Part]:
    try:
        return store.list_parts(upload.key, upload.store_ref or "")
    except errors.UploadNotFound:  # joined already; `complete` finds out
        return []


def _described(settings: Settings, upload: Upload) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": upload.id,
        "state": upload.state,
        "transfer": upload.transfer,
        "size": upload.size,
        "filename": upload.filename,
    }
    store = settings.store()
    if upload.expires_at is not None and upload.state == "open":
        told["expires_at"] = upload.expires_at.isoformat()
    if upload.transfer == "multipart" and isinstance(store, SigningStore):
        told["part_size"] = store.part_size(upload.size)
    if upload.reason is not None:
        told["reason"] = upload.reason
    if upload.verified is not None:
        told["oid"] = upload.verified
    return told


def _text(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_TEXT or "\0" in value:
        raise errors.BadRequest(f'"{name}" must be a text of 1 to {_MAX_TEXT} characters.', 422)
    return value


def _oid(message: dict[str, Any]) -> str | None:
    oid = message.get("oid")
    if oid is not None and not (isinstance(oid, str) and _OID.fullmatch(oid)):
        raise errors.BadRequest('"oid" must be a sha256 in 64 lower-case hex digits.', 422)
    return oid
