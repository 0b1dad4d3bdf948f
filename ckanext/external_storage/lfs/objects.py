"""The transfer ``basic`` (git-lfs docs/api/basic-transfers.md): a capability moves one object."""

from __future__ import annotations

import time

import sqlalchemy as sa
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch, callers, forwarding, sending
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.messages import answer, body, now
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import ServerStore
from ckanext.external_storage.transfer import finishing, links, receiving, uploads
from ckanext.external_storage.transfer.uploads import Upload

#: Seconds that "verify" waits for a file to be hashed. git-lfs waits 30, and then sends all of it again.
VERIFY_PATIENCE = 15


def put(settings: Settings, request: Request, organization: str, dataset: str, oid: str) -> Response:
    permit = _permit(settings, request, "PUT", oid)
    length = request.content_length
    if length is None and permit.size == 0 and not request.headers.get("Transfer-Encoding"):
        length = 0  # no header and no encoding is an empty body (RFC 9112 §6.3)
    if length is None:
        raise errors.LengthRequired
    if length != permit.size:
        raise errors.WrongSize(permit.size, length)
    with callers.permitted(settings, permit, (organization, dataset)) as connection:
        user_id = permit.user_id or ""
        upload = uploads.find_upload(connection, user_id, permit.package_id, oid, permit.size, now())
    receiving.receive(settings.engine(), settings.store(), upload, request.stream, now())
    return Response(status=200)


def verify(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    """200: the dataset has the object. 202: all bytes are there and are being hashed.

    404: they are not there. 422: they are not the object.
    """
    permit = callers.capability_of(settings, request, "VERIFY")
    pointer = batch.parse_pointer(body(request))
    if (pointer.oid, pointer.size) != (permit.oid, permit.size):
        raise errors.Forbidden("This capability is for another object.")
    store = settings.store()
    with callers.permitted(settings, permit, (organization, dataset)) as connection:
        if _is_linked(connection, permit):
            return answer({})
    if isinstance(store, ServerStore):
        if forwarding.verify(settings, store, permit.user_id or "", permit.package_id, pointer):
            return answer({})
        return _being_checked()
    given_up = time.monotonic() + VERIFY_PATIENCE
    while True:
        upload = _latest(settings, permit)
        if upload is None or upload.state in ("verified", "expired"):
            raise errors.ObjectNotFound(permit.oid)
        if upload.state != "received":
            _complete(settings, upload)
        elif time.monotonic() >= given_up:
            return _being_checked()
        else:
            time.sleep(0.5)
        with settings.engine().connect() as connection:
            if _is_linked(connection, permit):
                return answer({})


def _being_checked() -> Response:
    return answer({"message": "All bytes have arrived and are being checked."}, 202)


def _is_linked(connection: sa.Connection, permit: Capability) -> bool:
    """Raises ObjectNotFound if it is, with another size."""
    stored = links.linked(connection, permit.package_id, [permit.oid]).get(permit.oid)
    if stored is not None and stored.size != permit.size:
        raise errors.ObjectNotFound(permit.oid)
    return stored is not None


def _latest(settings: Settings, permit: Capability) -> Upload | None:
    with settings.engine().connect() as connection:
        user_id = permit.user_id or ""
        return uploads.latest(connection, user_id, permit.package_id, permit.oid, permit.size)


def _complete(settings: Settings, upload: Upload) -> None:
    """Make what came to the store itself the dataset's, if it is all there."""
    assert upload.oid is not None
    try:
        finishing.complete(settings.engine(), settings.store(), upload, settings.check_later)
    except errors.BytesMissing:
        raise errors.ObjectNotFound(upload.oid) from None


def get(settings: Settings, request: Request, organization: str, dataset: str, oid: str) -> Response:
    permit = _permit(settings, request, "GET", oid)
    with callers.permitted(settings, permit, (organization, dataset)) as connection:
        stored = callers.linked_object(connection, permit)
    return sending.response(request.environ, settings.store(), stored)


def no_locks(settings: Settings, request: Request, **path: str) -> Response:
    """git-lfs takes this for a server without locks, and goes on (docs/api/locking.md)."""
    return answer({"message": "This server has no locks: files are never overwritten."}, 404)


def _permit(settings: Settings, request: Request, method: str, oid: str) -> Capability:
    permit = callers.capability_of(settings, request, method)
    if oid != permit.oid:
        raise errors.Forbidden("This capability is for another object.")
    return permit
