"""The git-lfs batch API's messages (git-lfs docs/api/batch.md), without I/O."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from ckanext.external_storage import errors

MEDIA_TYPE = "application/vnd.git-lfs+json"
#: git-lfs itself asks for 100 objects at a time.
MAX_OBJECTS = 1000
MAX_BODY = 1 << 20
_OID = re.compile(r"[0-9a-f]{64}")
#: PostgreSQL's bigint, which no file reaches.
_MAX_SIZE = 2**63 - 1

Operation = Literal["upload", "download"]


@dataclass(frozen=True)
class Pointer:
    """One object that the client names; ``size`` in bytes."""

    oid: str
    size: int


@dataclass(frozen=True)
class BatchRequest:
    """``objects`` in the order of the request; one that is wrong is an error dict in its place.

    ``transfers``: what the client can do.
    """

    operation: Operation
    objects: tuple[Pointer | dict[str, Any], ...]
    transfers: frozenset[str] = frozenset({"basic"})

    @property
    def pointers(self) -> list[Pointer]:
        return [item for item in self.objects if isinstance(item, Pointer)]


def parse_request(body: bytes) -> BatchRequest:
    """The request in *body*. Unknown keys are ignored, as the protocol asks.

    Raises BadRequest (400 not JSON, 409 unknown hash, 413 too many objects, 422 not a batch request).
    """
    message = parse_json(body)
    operation = message.get("operation")
    if operation not in ("upload", "download"):
        raise errors.BadRequest('"operation" must be "upload" or "download".', 422)
    if message.get("hash_algo", "sha256") != "sha256":
        raise errors.BadRequest('Only "hash_algo": "sha256" is supported.', 409)
    transfers = message.get("transfers") or ["basic"]
    if not isinstance(transfers, list):
        raise errors.BadRequest('"transfers" must be a list.', 422)
    transfers = frozenset(name for name in transfers if isinstance(name, str))
    if transfers.isdisjoint(("basic", "tus")):
        raise errors.BadRequest('No transfer in common: this server offers "basic" and "tus".', 422)
    objects = message.get("objects")
    if not isinstance(objects, list):
        raise errors.BadRequest('"objects" must be a list.', 422)
    if len(objects) > MAX_OBJECTS:
        raise errors.BadRequest(f"At most {MAX_OBJECTS} objects per request.", 413)
    return BatchRequest(operation, tuple(_parse_object(item) for item in objects), transfers)


def choose_transfer(request: BatchRequest, appending: bool) -> Literal["basic", "tus"]:
    """The one transfer of all objects of the answer (git-lfs names its own in no order: the server chooses).

    tus, where the store can append and the client asks for it: a cut upload goes on where it was cut. A file
    of no bytes cannot go that way: there is nothing to send. Raises BadRequest.
    """
    empty = any(pointer.size == 0 for pointer in request.pointers)
    if request.operation == "upload" and appending and "tus" in request.transfers and not empty:
        return "tus"
    if "basic" not in request.transfers:
        raise errors.BadRequest('No transfer in common: here, this server offers "basic".', 422)
    return "basic"


def parse_pointer(body: bytes) -> Pointer:
    """The ``{oid, size}`` of a verify request. Raises BadRequest."""
    item = _parse_object(parse_json(body))
    if isinstance(item, dict):
        raise errors.BadRequest(item["error"]["message"], 422)
    return item


def parse_json(body: bytes) -> dict[str, Any]:
    """The JSON object in *body*. Raises BadRequest."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise errors.BadRequest("The body is not JSON.") from None
    if not isinstance(message, dict):
        raise errors.BadRequest("The body is not a JSON object.", 422)
    return message


def _parse_object(item: Any) -> Pointer | dict[str, Any]:
    oid = item.get("oid") if isinstance(item, dict) else None
    size = item.get("size") if isinstance(item, dict) else None
    if not isinstance(oid, str) or not _OID.fullmatch(oid):
        text = oid[:64] if isinstance(oid, str) else ""
        return object_error(text, 0, 422, '"oid" must be a sha256 in 64 lower-case hex digits.')
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= _MAX_SIZE:
        return object_error(oid, 0, 422, '"size" must be a number of bytes, 0 or more.')
    return Pointer(oid, size)


def action(href: str, header: dict[str, str], expires: datetime) -> dict[str, Any]:
    """A request that the client may send until then."""
    return {"href": href, "header": header, **ends(expires)}


def ends(expires: datetime) -> dict[str, Any]:
    """How an action says until when it can be used."""
    return {
        "expires_in": max(0, int(expires.timestamp() - time.time())),
        "expires_at": expires.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def object_error(oid: str, size: int, code: int, message: str) -> dict[str, Any]:
    """What is said of one object that cannot be served; the others of the batch are not affected."""
    return {"oid": oid, "size": size, "error": {"code": code, "message": message}}


def object_actions(pointer: Pointer, actions: dict[str, Any] | None = None) -> dict[str, Any]:
    """What is said of one object that can; no actions to an upload mean "it is here already"."""
    answer: dict[str, Any] = {"oid": pointer.oid, "size": pointer.size, "authenticated": True}
    if actions:
        answer["actions"] = actions
    return answer
