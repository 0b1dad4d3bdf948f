"""Where the site's files are at an external LFS server: clients send and fetch them there.

Our own answers are made first, as for any other store; here the actions in them are replaced by those of the
server. Verifying stays ours: so we hear that a file is there, and nobody has to be asked about it.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from werkzeug.wrappers import Response

from ckanext.external_storage import errors
from ckanext.external_storage.download import (
    Presentation,
    head_response,
    object_response,
    redirect_response,
)
from ckanext.external_storage.lfs import batch
from ckanext.external_storage.lfs.batch import Pointer
from ckanext.external_storage.lfs.messages import now
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import ObjectStore, ServerStore, Signed
from ckanext.external_storage.transfer import at_server, links, uploads
from ckanext.external_storage.transfer.uploads import Upload

Answers = dict[Pointer, dict[str, Any]]


def forward(
    settings: Settings, store: ServerStore, user_id: str | None, package_id: str, answers: Answers
) -> None:
    """Put the server's actions in place of ours, in *answers*. One call of the server for each object.

    No transaction is open meanwhile. When the server cannot be reached, that is said of all objects left.
    """
    gone: errors.StoreUnavailable | None = None
    for pointer, given in answers.items():
        actions = given.get("actions", {})
        try:
            if gone is not None and actions:
                raise gone
            if "upload" in actions:
                actions["upload"] = _upload(settings, store, user_id or "", package_id, pointer)
                if not actions["upload"]:
                    del given["actions"]
            elif "download" in actions:
                with settings.engine().connect() as connection:
                    stored = links.linked(connection, package_id, [pointer.oid])[pointer.oid]
                actions["download"] = download(store, stored)
        except errors.StorageError as error:
            if isinstance(error, errors.StoreUnavailable):
                gone = error
            answers[pointer] = batch.object_error(pointer.oid, pointer.size, error.status, str(error))


def _upload(
    settings: Settings, store: ServerStore, user_id: str, package_id: str, pointer: Pointer
) -> dict[str, Any] | None:
    """None: the server has some bytes of that size, and whether they are right is going to be checked."""
    with settings.engine().begin() as connection:
        upload = uploads.find_upload(connection, user_id, package_id, pointer.oid, pointer.size, now())
    action = upload_action(settings, store, upload)
    if action is None:
        arrived(settings, store, upload)
        return None
    return batch.action(action.href, action.header, action.expires_at)


def upload_action(settings: Settings, store: ServerStore, upload: Upload) -> Signed | None:
    """How to send an open upload's bytes to the server; None if it has some of that size.

    Raises StoreUnavailable.
    """
    action = store.upload_action(upload.key)
    if action is not None:
        with settings.engine().begin() as connection:
            uploads.signed(connection, {upload.id: action.expires_at})
    return action


def verify(settings: Settings, store: ServerStore, user_id: str, package_id: str, pointer: Pointer) -> bool:
    """A client has sent the object to the server: may the dataset use it now? If not, it is being checked.

    Raises BytesMissing, UploadRejected, UploadOver, StoreUnavailable.
    """
    upload = at_server.claim(settings.engine(), store, user_id, package_id, pointer.oid, pointer.size, now())
    return arrived(settings, store, upload) != "received"


def arrived(settings: Settings, store: ServerStore, upload: Upload) -> str:
    """All bytes are said to be at the server: ``verified``, ``received``, or ``unverified`` where that is
    enough. Raises BytesMissing, UploadRejected, UploadOver, StoreUnavailable.
    """
    believed = settings.believe_server()
    return at_server.arrived(settings.engine(), store, upload, settings.check_later, believed, timedelta())


def download(store: ServerStore, stored: links.StoredObject, name: str | None = None) -> dict[str, Any]:
    """How to fetch the file from the server: ``href``, ``header``, ``expires_in`` (seconds), ``expires_at``.

    Raises ObjectNotFound, StoreUnavailable.
    """
    action = store.download_action(stored.key, name)
    if action is None:
        raise errors.ObjectNotFound(stored.oid)
    return batch.action(action.href, action.header, action.expires_at)


def response(
    environ: dict[str, Any],
    store: ServerStore,
    stored: links.StoredObject,
    name: str | None,
    shown: Presentation,
) -> Response:
    """The file as the answer to a GET or HEAD: a redirect to the server.

    If a header is needed there, which a redirect cannot carry, or if the file is to be *shown* inline, of
    which the server knows nothing, the bytes come through us. Raises StoreUnavailable.
    """
    if environ["REQUEST_METHOD"] == "HEAD":
        return _not_kept(head_response(environ, stored.oid, stored.size, shown))
    if not shown.disposition.startswith("inline"):
        action = store.download_action(stored.key, name)
        if action and not action.header:
            return redirect_response(action.href)
    file = store.open(stored.key)
    return _not_kept(object_response(environ, file, stored.oid, stored.size, shown=shown))


def _not_kept(found: Response) -> Response:
    found.headers["Cache-Control"] = "private, no-store"
    return found


def stored_object(
    connection: sa.Connection, store: ObjectStore, package_id: str, oid: str, size: object
) -> links.StoredObject:
    """What the dataset has under this sha256. Raises ObjectNotFound.

    With *size*, what a resource that the dataset has now says of the file (bytes), one that came to the
    server before there were records is found, too.
    """
    stored = links.linked(connection, package_id, [oid]).get(oid)
    if stored is None and isinstance(store, ServerStore):
        stored = _older(store, package_id, oid, size)
    if stored is None:
        raise errors.ObjectNotFound(oid)
    return stored


def _older(store: ServerStore, package_id: str, oid: str, size: object) -> links.StoredObject | None:
    """A file of the dataset from before this plugin kept records: nobody here has ever hashed it.

    The caller knows that a resource of the dataset has had it since then.
    """
    if not isinstance(size, int) or size < 0:
        return None
    key = store.key_of(package_id, oid, size, str(uuid.UUID(int=0)))
    return links.StoredObject(oid, size, key, verified=False)
