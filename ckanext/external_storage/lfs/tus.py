"""Uploads in pieces: tus 1.0.0, core with the extensions termination and expiration (https://tus.io).

An upload begins elsewhere, at the batch API or ``…/uploads``, so that there is no creation here. How far it
has come is the size of its file; when the last byte is there, the file is the dataset's, before the answer.
"""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import upload_access
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import AppendingStore
from ckanext.external_storage.transfer import finishing, standing, uploads
from ckanext.external_storage.transfer.uploads import Upload

VERSION = "1.0.0"
#: After this long without a byte, a connection is given up.
READ_SECONDS = 30
#: Bytes read at a time: what is lost of a piece that a silent or broken connection does not bring whole.
PIECE = 1 << 16
_MEDIA_TYPE = "application/offset+octet-stream"


def tus(settings: Settings, request: Request, upload_id: str) -> Response:
    method = request.method
    if method == "POST":  # for clients behind something that lets no PATCH through
        method = request.headers.get("X-HTTP-Method-Override", "").upper()
    try:
        if method == "OPTIONS":
            return _answer(204, _abilities(settings))
        if request.headers.get("Tus-Resumable") != VERSION:
            raise errors.BadRequest(f"Send the header Tus-Resumable: {VERSION}", 412)
        if method not in ("HEAD", "PATCH", "DELETE"):
            raise errors.BadRequest("Here, POST needs X-HTTP-Method-Override: HEAD, PATCH or DELETE.", 405)
        upload = upload_access.for_tus(settings, request, upload_id)
        if upload.transfer != "tus":
            raise errors.BadRequest("This upload is not sent in pieces by tus.", 409)
        return {"HEAD": _head, "PATCH": _patch, "DELETE": _delete}[method](settings, request, upload)
    except errors.StorageError as error:
        offset = {"Upload-Offset": str(error.offset)} if isinstance(error, errors.WrongOffset) else {}
        error.headers = {
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Cache-Control": "no-store",
            **offset,
        }
        raise


def _head(settings: Settings, request: Request, upload: Upload) -> Response:
    if upload.state == "verified":
        offset = upload.size
    else:
        uploads.require_open(upload)
        store = _store(settings)
        offset = store.offset(upload.key)
        if offset == upload.size:
            # A process died after the last byte. A client that reads "all there" sends nothing more, so that
            # must not be said before it is true.
            upload = finishing.complete(settings.engine(), store, upload, settings.check_later)
            if upload.state != "verified":
                raise errors.BeingChecked
    return _answer(
        200,
        {
            "Upload-Offset": offset,
            "Upload-Length": upload.size,
            **_expires(upload.expires_at if upload.state == "open" else None),
        },
    )


def _patch(settings: Settings, request: Request, upload: Upload) -> Response:
    if request.mimetype != _MEDIA_TYPE:
        raise errors.BadRequest(f"Send the bytes as Content-Type: {_MEDIA_TYPE}", 415)
    offset = request.headers.get("Upload-Offset", "")
    if not (offset.isascii() and offset.isdigit() and len(offset) < 20):
        raise errors.BadRequest("Send the header Upload-Offset: the number of bytes that are there already.")
    length = request.content_length
    if length is None and request.headers.get("Transfer-Encoding"):
        raise errors.LengthRequired
    length = length or 0  # no header and no encoding is an empty body (RFC 9112 §6.3)
    if upload.state == "verified":
        if int(offset) != upload.size or length:
            raise errors.WrongOffset(upload.size)
        return _answer(204, {"Upload-Offset": upload.size})
    uploads.require_open(upload)
    _give_up_on_silence(request.environ)
    there = finishing.append(
        settings.engine(),
        _store(settings),
        upload,
        int(offset),
        _Body(request),
        length,
        settings.check_later,
    )
    return _answer(204, {"Upload-Offset": there.offset, **_expires(there.expires_at)})


def _delete(settings: Settings, request: Request, upload: Upload) -> Response:
    if upload.state == "verified":
        raise errors.UploadOver("The file is complete and belongs to the dataset.")
    with settings.engine().begin() as connection:
        uploads.discard(connection, upload.id, standing.database_now(connection))
    return _answer(204, {})


def _store(settings: Settings) -> AppendingStore:
    store = settings.store()
    if not isinstance(store, AppendingStore):
        raise errors.UploadOver("The site has another file store now.")
    return store


def _abilities(settings: Settings) -> dict[str, Any]:
    most = settings.limits().max_size
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": "termination,expiration",
        **({} if most is None else {"Tus-Max-Size": most}),
    }


def _expires(when: datetime | None) -> dict[str, str]:
    return {"Upload-Expires": format_datetime(when.astimezone(timezone.utc), usegmt=True)} if when else {}


def _answer(status: int, headers: dict[str, Any]) -> Response:
    response = Response(status=status)
    response.headers.update({"Tus-Resumable": VERSION, "Cache-Control": "no-store"})
    response.headers.update({name: str(value) for name, value in headers.items()})
    return response


class _Body:
    """The request's body; a client that goes away is its end, and leaves what it brought."""

    def __init__(self, request: Request):
        self._stream = request.stream

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(PIECE if size < 0 else min(size, PIECE))
        except ClientDisconnected:
            return b""


def _give_up_on_silence(environ: dict[str, Any]) -> None:
    """Set the read time-out where the server shows us the connection; others have an option for it."""
    connection = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    if connection is not None:
        connection.settimeout(READ_SECONDS)
