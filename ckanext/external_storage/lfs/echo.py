"""What arrives of a request: for ``ckan external-storage check``, which asks through the public address."""

from __future__ import annotations

import hashlib
import time

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import callers
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.messages import answer
from ckanext.external_storage.lfs.settings import Settings

#: Bytes; more than the megabyte that nginx lets pass unless it is told to.
MAX_BODY = 2 << 20
_METHOD = "CHECK"


def permit(expires_at: int) -> Capability:
    """What `put` asks for; only the command makes one."""
    return Capability(_METHOD, "", "", MAX_BODY, None, "", expires_at)


def put(settings: Settings, request: Request) -> Response:
    """Read a body and forget it: ``{"size": bytes, "sha256", "seconds": how long it took to arrive}``."""
    callers.capability_of(settings, request, _METHOD)
    if request.content_length is None:
        raise errors.LengthRequired
    if request.content_length > MAX_BODY:
        raise errors.WrongSize(MAX_BODY, request.content_length)
    digest, size, started = hashlib.sha256(), 0, time.monotonic()
    while chunk := request.stream.read(1024):
        digest.update(chunk)
        size += len(chunk)
    return answer({"size": size, "sha256": digest.hexdigest(), "seconds": time.monotonic() - started})
