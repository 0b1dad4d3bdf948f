"""The WSGI application: routes, and the order in which a request is checked."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from ckanext.authz_service import ledger
from ckanext.authz_service.errors import AuthzError, InvalidToken
from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage import errors
from ckanext.external_storage.download import object_response
from ckanext.external_storage.lfs import batch, capability, datasets
from ckanext.external_storage.lfs.access import Access, access
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.transfer import uploads

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger(__name__)

#: Seconds a capability lives.
CAPABILITY_LIFETIME = 900

_REPOSITORY = "/<organization>/<dataset>.git/info/lfs/objects"
ROUTES = Map(
    [
        Rule(f"{_REPOSITORY}/batch", endpoint="batch", methods=["POST"]),
        Rule(f"{_REPOSITORY}/verify", endpoint="verify", methods=["POST"]),
        Rule(f"{_REPOSITORY}/<oid>", endpoint="put", methods=["PUT"]),
        Rule(f"{_REPOSITORY}/<oid>", endpoint="get", methods=["GET"]),
    ]
)


@dataclass(frozen=True)
class Settings:
    """What the application needs from outside; the callables are asked per request.

    ``url``: public base URL, e.g. ``https://data.example.org/lfs``; answers are built from it, never from
    a request's Host. ``namespace``: stands for any organisation in a path.
    ``verify_token``: a JWT → what it proves now, revocation included; raises InvalidToken.
    """

    url: str
    namespace: str
    engine: Callable[[], sa.Engine]
    store: Callable[[], ObjectStore]
    secret: Callable[[], bytes]
    verify_token: Callable[[str], VerifiedToken]


class LfsApplication:
    """Git LFS below its mount point; reads the ``Authorization`` header only, never cookies."""

    def __init__(self, settings: Settings):
        self.settings = settings

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = self._dispatch(request)
        except HTTPException as error:
            message = "No such address here." if error.code == 404 else error.description or error.name
            response = _json({"message": message}, error.code or 500)
            response.headers.extend([h for h in error.get_headers() if h[0] == "Allow"])
        except errors.StorageError as error:
            if error.status >= 500:
                log.error("%s: %s", type(error).__name__, error, exc_info=error.__cause__)
            response = _json({"message": str(error)}, error.status)
            if error.status == 401:
                response.headers["WWW-Authenticate"] = response.headers["LFS-Authenticate"] = "Bearer"
        return response(environ, start_response)

    def _dispatch(self, request: Request) -> Response:
        endpoint, arguments = ROUTES.bind_to_environ(request.environ).match()
        return getattr(self, f"_{endpoint}")(request, **arguments)

    # Batch: a token opens the dataset and gets a capability per object.

    def _batch(self, request: Request, organization: str, dataset: str) -> Response:
        token = self._token(request)
        message = batch.parse_request(_body(request))
        with self.settings.engine().begin() as connection:
            found = self._dataset(connection, organization, dataset)
            granted = access(token, found.id)
            if not granted:
                raise errors.DatasetNotFound
            if message.operation == "upload" and not granted.write:
                raise errors.Forbidden("This token does not allow uploading to the dataset.")
            answer = self._upload_actions if message.operation == "upload" else self._download_actions
            pointers = [p for p in message.objects if isinstance(p, batch.Pointer)]
            href = f"{self.settings.url}/{organization}/{dataset}.git/info/lfs/objects"
            answers = answer(connection, found, granted, pointers, href)
        objects = [answers[p] if isinstance(p, batch.Pointer) else p for p in message.objects]
        return _json({"transfer": "basic", "objects": objects, "hash_algo": "sha256"})

    def _upload_actions(
        self,
        connection: sa.Connection,
        dataset: datasets.Dataset,
        granted: Access,
        pointers: list[batch.Pointer],
        href: str,
    ) -> dict[batch.Pointer, dict[str, Any]]:
        here = uploads.linked(connection, dataset.id, {p.oid for p in pointers})
        wanted = {p.oid: p.size for p in pointers if p.oid not in here}
        assert granted.user_id is not None  # Access.write implies it
        opened = uploads.open_uploads(connection, granted.user_id, dataset.id, wanted, _now())
        answers = {}
        for pointer in pointers:
            stored, upload = here.get(pointer.oid), opened.get(pointer.oid)
            if stored and stored.size == pointer.size:
                answers[pointer] = batch.object_actions(pointer)
            elif upload and upload.size == pointer.size:  # not, if the batch names it with two sizes
                actions = {
                    "upload": self._action("PUT", f"{href}/{pointer.oid}", dataset, granted, pointer),
                    "verify": self._action("VERIFY", f"{href}/verify", dataset, granted, pointer),
                }
                actions["upload"]["header"]["Content-Type"] = "application/octet-stream"
                answers[pointer] = batch.object_actions(pointer, actions)
            else:
                text = "This sha256 is known here with another size."
                answers[pointer] = batch.object_error(pointer.oid, pointer.size, 422, text)
        return answers

    def _download_actions(
        self,
        connection: sa.Connection,
        dataset: datasets.Dataset,
        granted: Access,
        pointers: list[batch.Pointer],
        href: str,
    ) -> dict[batch.Pointer, dict[str, Any]]:
        here = uploads.linked(connection, dataset.id, {p.oid for p in pointers})
        readable = set(here) if granted.write else set(granted.read_oids)
        if granted.read_current and not granted.write:
            readable |= datasets.current_oids(connection, dataset)
        answers = {}
        for pointer in pointers:
            stored = here.get(pointer.oid)
            if stored and pointer.oid in readable and stored.size == pointer.size:
                action = self._action("GET", f"{href}/{pointer.oid}", dataset, granted, pointer)
                answers[pointer] = batch.object_actions(pointer, {"download": action})
            else:
                text = "The dataset has no such object for this token."
                answers[pointer] = batch.object_error(pointer.oid, pointer.size, 404, text)
        return answers

    def _action(
        self, method: str, href: str, dataset: datasets.Dataset, granted: Access, pointer: batch.Pointer
    ) -> dict[str, Any]:
        expires_at = int(time.time()) + CAPABILITY_LIFETIME
        permit = Capability(
            method, dataset.id, pointer.oid, pointer.size, granted.user_id, granted.jti, expires_at
        )
        return {
            "href": href,
            "header": permit.header(self.settings.secret()),
            "expires_in": CAPABILITY_LIFETIME,
            "expires_at": datetime.fromtimestamp(expires_at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    # Transfers: a capability moves one object.

    def _put(self, request: Request, organization: str, dataset: str, oid: str) -> Response:
        permit = self._capability(request, "PUT")
        if oid != permit.oid:
            raise errors.Forbidden("This capability is for another object.")
        length = request.content_length
        if length is None and permit.size == 0 and not request.headers.get("Transfer-Encoding"):
            length = 0  # no header and no encoding is an empty body (RFC 9112 §6.3)
        if length is None:
            raise errors.LengthRequired
        if length != permit.size:
            raise errors.WrongSize(permit.size, length)
        with self.settings.engine().begin() as connection:
            self._permitted(connection, organization, dataset, permit)
            user_id = permit.user_id or ""
            upload = uploads.find_upload(connection, user_id, permit.package_id, oid, permit.size, _now())
        uploads.receive(self.settings.engine(), self.settings.store(), upload, request.stream, _now())
        return Response(status=200)

    def _verify(self, request: Request, organization: str, dataset: str) -> Response:
        permit = self._capability(request, "VERIFY")
        pointer = batch.parse_pointer(_body(request))
        if (pointer.oid, pointer.size) != (permit.oid, permit.size):
            raise errors.Forbidden("This capability is for another object.")
        with self.settings.engine().begin() as connection:
            self._permitted(connection, organization, dataset, permit)
            self._linked(connection, permit)
        return _json({})

    def _get(self, request: Request, organization: str, dataset: str, oid: str) -> Response:
        permit = self._capability(request, "GET")
        if oid != permit.oid:
            raise errors.Forbidden("This capability is for another object.")
        with self.settings.engine().begin() as connection:
            self._permitted(connection, organization, dataset, permit)
            stored = self._linked(connection, permit)
        return object_response(request.environ, self.settings.store().open(stored.key), oid, stored.size)

    # Checks.

    def _token(self, request: Request) -> VerifiedToken:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise errors.NotAuthenticated("Send a token of authz_authorize: Authorization: Bearer <token>.")
        try:
            return self.settings.verify_token(token.strip())
        except InvalidToken as error:
            raise errors.NotAuthenticated(str(error)) from None
        except AuthzError as error:
            raise errors.TokensUnusable from error

    def _capability(self, request: Request, method: str) -> Capability:
        permit = capability.read(request.headers.get("Authorization"), self.settings.secret(), time.time())
        if permit.method != method:
            raise errors.Forbidden("This capability is for another kind of request.")
        return permit

    def _dataset(self, connection: sa.Connection, organization: str, name_or_id: str) -> datasets.Dataset:
        found = datasets.find(connection, name_or_id)
        if found is None or organization not in (found.organization, self.settings.namespace):
            raise errors.DatasetNotFound
        return found

    def _permitted(
        self, connection: sa.Connection, organization: str, dataset: str, permit: Capability
    ) -> None:
        """A capability was right when it was issued; is it still?"""
        if self._dataset(connection, organization, dataset).id != permit.package_id:
            raise errors.DatasetNotFound
        if permit.user_id is None:
            return
        try:
            ledger.check(connection, permit.jti, permit.user_id)
        except InvalidToken as error:
            raise errors.NotAuthenticated(str(error)) from None
        except AuthzError as error:
            raise errors.TokensUnusable from error

    def _linked(self, connection: sa.Connection, permit: Capability) -> uploads.StoredObject:
        stored = uploads.linked(connection, permit.package_id, [permit.oid]).get(permit.oid)
        if stored is None or stored.size != permit.size:
            raise errors.ObjectNotFound(permit.oid)
        return stored


def _body(request: Request) -> bytes:
    if request.content_length is None:
        raise errors.LengthRequired
    if request.content_length > batch.MAX_BODY:
        raise errors.BadRequest(f"The request body is limited to {batch.MAX_BODY} bytes.", 413)
    return request.get_data()


def _json(message: dict[str, Any], status: int = 200) -> Response:
    response = Response(json.dumps(message), status, content_type=batch.MEDIA_TYPE)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def _now() -> datetime:
    return datetime.now(timezone.utc)
