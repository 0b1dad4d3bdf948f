"""Uploads of browsers and scripts: begun, signed part by part, shown, completed, ended. Messages are JSON."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch, callers, upload_access
from ckanext.external_storage.lfs.access import by_token
from ckanext.external_storage.lfs.messages import answer, body
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import AppendingStore, Part, SigningStore
from ckanext.external_storage.transfer import beginning, finishing, standing, uploads
from ckanext.external_storage.transfer.uploads import Upload

#: How long a signed request may wait to be sent.
SIGNED_FOR = timedelta(minutes=15)
#: Parts that are signed at a time.
MAX_NUMBERS = 100
_MAX_TEXT = 500
_OID = re.compile(r"[0-9a-f]{64}")


def begin(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    """``{size, filename?, fingerprint?, oid?}`` → an upload; 201 if it is new, 200 if it goes on."""
    token = callers.bearer_token(settings, request)
    message = batch.parse_json(body(request))
    size = message.get("size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        raise errors.BadRequest('"size" must be a number of bytes, 0 or more.', 422)
    texts = {name: _text(message, name) for name in ("filename", "fingerprint")}
    oid = _oid(message)
    engine, store = settings.engine(), settings.store()
    with engine.begin() as connection:
        found = callers.find_dataset(settings, connection, organization, dataset)
        granted = by_token(token, found.id)
        if not granted:
            raise errors.DatasetNotFound
        if not granted.write or granted.user_id is None:
            raise errors.Forbidden("This token does not allow uploading to the dataset.")
        now = standing.database_now(connection)
        owner_org = standing.owner_org(connection, found.id)
        upload, new = beginning.begin(
            connection, store, granted.user_id, found.id, owner_org, size, now,
            oid=oid, limits=settings.limits(), **texts,
        )  # fmt: skip
    upload = beginning.prepare(engine, store, upload)
    told = _described(settings, upload)
    if upload.transfer == "tus" and upload.state == "open":
        told["href"] = f"{settings.url}/uploads/{upload.id}/tus"
    if upload.transfer == "put" and upload.state == "open" and isinstance(store, SigningStore):
        signed = store.sign_put(upload.key, upload.oid or "", upload.size, SIGNED_FOR)
        with engine.begin() as connection:
            uploads.signed(connection, {upload.id: signed.expires_at})
        told.update(href=signed.href, header=signed.header)
    return answer(told, 201 if new else 200)


def show(settings: Settings, request: Request, upload_id: str) -> Response:
    """How far it is. Parts are those that the store has."""
    upload = upload_access.for_user(settings, request, upload_id)
    return answer(_state(settings, upload))


def sign_parts(settings: Settings, request: Request, upload_id: str) -> Response:
    """``{numbers: [1, 2]}`` → a signed request for each of these parts."""
    upload = upload_access.for_user(settings, request, upload_id)
    numbers = batch.parse_json(body(request)).get("numbers")
    store = settings.store()
    if upload.transfer != "multipart" or not isinstance(store, SigningStore) or upload.store_ref is None:
        raise errors.BadRequest("This upload is not sent in parts to the store.", 409)
    uploads.require_open(upload)
    part_size = store.part_size(upload.size)
    last = -(-upload.size // part_size)
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MAX_NUMBERS:
        raise errors.BadRequest(f'"numbers" must be a list of 1 to {MAX_NUMBERS} numbers of parts.', 422)
    if not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= last for n in numbers):
        raise errors.BadRequest(f"Parts have numbers from 1 to {last}.", 422)
    signed = {}
    for number in numbers:
        size = part_size if number < last else upload.size - part_size * (last - 1)
        signed[number] = store.sign_part(upload.key, upload.store_ref, number, size, SIGNED_FOR)
    with settings.engine().begin() as connection:
        uploads.signed(connection, {upload.id: max(part.expires_at for part in signed.values())})
        uploads.progressed(connection, upload.id, standing.database_now(connection))
    return answer(
        {
            "parts": [
                {"number": n, "href": s.href, "header": s.header, "expires_at": s.expires_at.isoformat()}
                for n, s in signed.items()
            ]
        }
    )


def complete(settings: Settings, request: Request, upload_id: str) -> Response:
    """``{oid?}`` → 200 verified, 202 being checked. Safe to repeat."""
    upload = upload_access.for_user(settings, request, upload_id)
    oid = _oid(batch.parse_json(body(request)))
    if oid is not None and upload.oid not in (None, oid):
        raise errors.ChecksumMismatch(upload.oid or "", oid)
    upload = finishing.complete(settings.engine(), settings.store(), upload, settings.check_later)
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
