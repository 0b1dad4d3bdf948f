"""The git-lfs API: batch, and the transfer ``basic`` (docs/api/batch.md, basic-transfers.md)."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.download import object_response
from ckanext.external_storage.lfs import batch, callers, datasets, forwarding
from ckanext.external_storage.lfs.access import Access, access
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.messages import answer, body, now
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import ServerStore
from ckanext.external_storage.transfer import links, receiving, uploads

#: Seconds a capability lives.
CAPABILITY_LIFETIME = 900


# Batch: a token opens the dataset and gets a capability per object.


def batch_objects(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    token = callers.bearer_token(settings, request)
    message = batch.parse_request(body(request))
    store = settings.store()
    with settings.engine().begin() as connection:
        found = callers.find_dataset(settings, connection, organization, dataset)
        granted = access(token, found.id)
        if not granted:
            raise errors.DatasetNotFound
        if message.operation == "upload" and not granted.write:
            raise errors.Forbidden("This token does not allow uploading to the dataset.")
        actions = _upload_actions if message.operation == "upload" else _download_actions
        pointers = [p for p in message.objects if isinstance(p, batch.Pointer)]
        href = f"{settings.url}/{organization}/{dataset}.git/info/lfs/objects"
        answers = actions(settings, connection, found, granted, pointers, href)
    if isinstance(store, ServerStore):
        forwarding.forward(settings, store, granted.user_id, found.id, answers)
    objects = [answers[p] if isinstance(p, batch.Pointer) else p for p in message.objects]
    return answer({"transfer": "basic", "objects": objects, "hash_algo": "sha256"})


def _upload_actions(
    settings: Settings,
    connection: sa.Connection,
    dataset: datasets.Dataset,
    granted: Access,
    pointers: list[batch.Pointer],
    href: str,
) -> dict[batch.Pointer, dict[str, Any]]:
    here = links.linked(connection, dataset.id, {p.oid for p in pointers})
    wanted = {p.oid: p.size for p in pointers if p.oid not in here}
    assert granted.user_id is not None  # Access.write implies it
    store = settings.store()
    opened = uploads.open_uploads(connection, granted.user_id, dataset.id, wanted, now(), store=store)
    answers = {}
    for pointer in pointers:
        stored, upload = here.get(pointer.oid), opened.get(pointer.oid)
        if stored and stored.size == pointer.size:
            answers[pointer] = batch.object_actions(pointer)
        elif upload and upload.size == pointer.size:  # not, if the batch names it with two sizes
            actions = {
                "upload": _action(settings, "PUT", f"{href}/{pointer.oid}", dataset, granted, pointer),
                "verify": _action(settings, "VERIFY", f"{href}/verify", dataset, granted, pointer),
            }
            actions["upload"]["header"]["Content-Type"] = "application/octet-stream"
            answers[pointer] = batch.object_actions(pointer, actions)
        else:
            text = "This sha256 is known here with another size."
            answers[pointer] = batch.object_error(pointer.oid, pointer.size, 422, text)
    return answers


def _download_actions(
    settings: Settings,
    connection: sa.Connection,
    dataset: datasets.Dataset,
    granted: Access,
    pointers: list[batch.Pointer],
    href: str,
) -> dict[batch.Pointer, dict[str, Any]]:
    here = links.linked(connection, dataset.id, {p.oid for p in pointers})
    readable = set(here) if granted.write else set(granted.read_oids)
    if granted.read_current and not granted.write:
        readable |= datasets.current_oids(connection, dataset)
    answers = {}
    for pointer in pointers:
        stored = here.get(pointer.oid)
        if stored and pointer.oid in readable and stored.size == pointer.size:
            action = _action(settings, "GET", f"{href}/{pointer.oid}", dataset, granted, pointer)
            answers[pointer] = batch.object_actions(pointer, {"download": action})
        else:
            text = "The dataset has no such object for this token."
            answers[pointer] = batch.object_error(pointer.oid, pointer.size, 404, text)
    return answers


def _action(
    settings: Settings,
    method: str,
    href: str,
    dataset: datasets.Dataset,
    granted: Access,
    pointer: batch.Pointer,
) -> dict[str, Any]:
    expires_at = int(time.time()) + CAPABILITY_LIFETIME
    permit = Capability(
        method, dataset.id, pointer.oid, pointer.size, granted.user_id, granted.jti, expires_at
    )
    return {
        "href": href,
        "header": permit.header(settings.secret()),
        "expires_in": CAPABILITY_LIFETIME,
        "expires_at": datetime.fromtimestamp(expires_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


# Transfers: a capability moves one object.


def put(settings: Settings, request: Request, organization: str, dataset: str, oid: str) -> Response:
    permit = callers.capability_of(settings, request, "PUT")
    if oid != permit.oid:
        raise errors.Forbidden("This capability is for another object.")
    length = request.content_length
    if length is None and permit.size == 0 and not request.headers.get("Transfer-Encoding"):
        length = 0  # no header and no encoding is an empty body (RFC 9112 §6.3)
    if length is None:
        raise errors.LengthRequired
    if length != permit.size:
        raise errors.WrongSize(permit.size, length)
    with settings.engine().begin() as connection:
        callers.permitted(settings, connection, organization, dataset, permit)
        user_id = permit.user_id or ""
        upload = uploads.find_upload(connection, user_id, permit.package_id, oid, permit.size, now())
    receiving.receive(settings.engine(), settings.store(), upload, request.stream, now())
    return Response(status=200)


def verify(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    permit = callers.capability_of(settings, request, "VERIFY")
    pointer = batch.parse_pointer(body(request))
    if (pointer.oid, pointer.size) != (permit.oid, permit.size):
        raise errors.Forbidden("This capability is for another object.")
    with settings.engine().begin() as connection:
        callers.permitted(settings, connection, organization, dataset, permit)
        linked = permit.oid in links.linked(connection, permit.package_id, [permit.oid])
        store = settings.store()
        if linked or not isinstance(store, ServerStore):
            callers.linked_object(connection, permit)
            return answer({})
    if forwarding.verify(settings, store, permit.user_id or "", permit.package_id, pointer):
        return answer({})
    return answer({"message": "All bytes have arrived and are being checked."}, 202)


def get(settings: Settings, request: Request, organization: str, dataset: str, oid: str) -> Response:
    permit = callers.capability_of(settings, request, "GET")
    if oid != permit.oid:
        raise errors.Forbidden("This capability is for another object.")
    with settings.engine().begin() as connection:
        callers.permitted(settings, connection, organization, dataset, permit)
        stored = callers.linked_object(connection, permit)
    store = settings.store()
    if isinstance(store, ServerStore):
        return forwarding.response(request.environ, store, stored)
    return object_response(request.environ, store.open(stored.key), oid, stored.size)
