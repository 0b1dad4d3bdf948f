"""Which pages of other sites may use the server from a browser (the Fetch standard, "CORS protocol").

They need a token for everything: cookies open nothing here, so no answer allows credentials.
"""

from __future__ import annotations

from collections.abc import Set

from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
REQUEST_HEADERS = (
    "Accept", "Authorization", "Content-Type", "If-Match", "If-None-Match", "If-Range", "Range",
    "Tus-Resumable", "Upload-Length", "Upload-Offset", "X-HTTP-Method-Override", "X-Request-ID",
)  # fmt: skip
EXPOSED = (
    "Accept-Ranges", "Allow", "Content-Disposition", "Content-Range", "ETag", "LFS-Authenticate", "Location",
    "Retry-After", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable", "Tus-Version", "Upload-Expires",
    "Upload-Length", "Upload-Offset",
)  # fmt: skip
#: Seconds a browser may remember what it was allowed.
MAX_AGE = 600


def preflight(request: Request, origins: Set[str]) -> Response | None:
    """The answer to a browser that asks before it sends; None if it does not ask.

    Raises Forbidden for an origin that is not on the list.
    """
    if request.method != "OPTIONS" or not request.headers.get("Access-Control-Request-Method"):
        return None
    if _allowed(request, origins) is None:
        raise errors.Forbidden(
            "Pages of this origin may not use the server. ckanext.external_storage.cors_origins lists those"
            " that may."
        )
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = ", ".join(METHODS)
    response.headers["Access-Control-Allow-Headers"] = ", ".join(REQUEST_HEADERS)
    response.headers["Access-Control-Max-Age"] = str(MAX_AGE)
    return response


def tell(request: Request, response: Response, origins: Set[str]) -> None:
    """Let the page that asked, if it may, see *response*; an error is one, too."""
    allowed = _allowed(request, origins)
    if allowed:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Access-Control-Expose-Headers"] = ", ".join(EXPOSED)
    if origins and "*" not in origins:
        response.vary.add("Origin")  # also without one: a cache must not give that answer to a page


def _allowed(request: Request, origins: Set[str]) -> str | None:
    origin = request.headers.get("Origin")
    if not origin:
        return None
    if "*" in origins:
        return "*"
    return origin if origin in origins else None
