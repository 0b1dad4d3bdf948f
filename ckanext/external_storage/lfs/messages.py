"""Bodies of requests and answers, as the git-lfs API has them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch


def body(request: Request) -> bytes:
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
