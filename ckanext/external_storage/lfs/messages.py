"""Bodies of requests and answers, as the git-lfs API has them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch

#: What a request and its answer may be called; some clients know the general name only.
_JSON = (batch.MEDIA_TYPE, "application/json")


def body(request: Request) -> bytes:
    """The body of a request for JSON in JSON. Raises BadRequest (406, 413, 415), LengthRequired."""
    if request.headers.get("Accept") and not any(
        quality > 0 and name.partition(";")[0].strip() in (*_JSON, "application/*", "*/*")
        for name, quality in request.accept_mimetypes
    ):
        raise errors.BadRequest(f"Answers are {batch.MEDIA_TYPE}: send that as Accept, or nothing.", 406)
    if request.mimetype and request.mimetype not in _JSON:
        raise errors.BadRequest(f"Send {batch.MEDIA_TYPE} as Content-Type.", 415)
    if request.content_length is None:
        raise errors.LengthRequired
    if request.content_length > batch.MAX_BODY:
        raise errors.BadRequest(f"The request body is limited to {batch.MAX_BODY} bytes.", 413)
    return request.get_data()


def answer(message: dict[str, Any], status: int = 200) -> Response:
    response = Response(json.dumps(message), status, content_type=batch.MEDIA_TYPE)
    response.headers["Cache-Control"] = "private, no-store"
    return response


def now() -> datetime:
    return datetime.now(timezone.utc)
