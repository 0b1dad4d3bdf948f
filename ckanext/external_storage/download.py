"""One stored object as an HTTP answer: ranges, validators, and headers that keep hostile files harmless."""

from __future__ import annotations

import mimetypes
import unicodedata
from typing import IO, Any
from urllib.parse import quote

from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_range_header
from werkzeug.wrappers import Response
from werkzeug.wsgi import wrap_file


def object_response(
    environ: dict[str, Any], file: IO[bytes], etag: str, size: int, filename: str | None = None
) -> Response:
    """Serve *file* (*size* bytes): GET and HEAD, one byte range, If-Range, If-None-Match.

    *etag* is a strong one (RFC 9110 §8.8.3): where the sha256 is known that is what it is.
    Uploaded bytes are hostile: always an attachment, never sniffed, in a sandbox without scripts.
    """
    response = Response(
        wrap_file(environ, file, buffer_size=1 << 18),  # pyright: ignore[reportArgumentType]
        mimetype=media_type(filename),
        direct_passthrough=True,
    )
    response.content_length = size
    response.set_etag(etag)
    response.headers["Content-Disposition"] = content_disposition(filename)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Referrer-Policy"] = "no-referrer"
    # Kept by the reader only, and asked again each time: permission may have changed.
    response.headers["Cache-Control"] = "private, no-cache"
    response.call_on_close(file.close)  # also where nothing of it is sent
    try:
        return response.make_conditional(
            _with_one_range(environ, size), accept_ranges=True, complete_length=size
        )
    except RequestedRangeNotSatisfiable:
        response.close()
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})


def _with_one_range(environ: dict[str, Any], size: int) -> dict[str, Any]:
    """A range that is malformed, or several at once, is ignored (RFC 9110 §14.2): the whole file is right."""
    ranges = parse_range_header(environ.get("HTTP_RANGE"))
    if not ranges or ranges.units != "bytes" or len(ranges.ranges) != 1:
        return {key: value for key, value in environ.items() if key != "HTTP_RANGE"}
    first = ranges.ranges[0][0]
    if first < -size:  # more from the end than there is: all of it (§14.1.2)
        return {**environ, "HTTP_RANGE": "bytes=0-"}
    if first == 0 and "=-" in environ["HTTP_RANGE"].replace(" ", ""):  # the last 0 bytes: there are none
        return {**environ, "HTTP_RANGE": f"bytes={size}-"}
    return environ


def media_type(filename: str | None) -> str:
    """By the name's ending, but never one of scripts: a page that has the file for its script would run it,
    whatever the other headers say (Fetch, "nosniff")."""
    found = mimetypes.guess_type(filename or "")[0] or "application/octet-stream"
    return "text/plain" if found.endswith(("javascript", "ecmascript")) else found


def content_disposition(filename: str | None) -> str:
    """``attachment`` with the name for old and for current clients (RFC 6266 §4.3, Appendix D).

    >>> content_disposition("été.csv")
    "attachment; filename=\\"ete.csv\\"; filename*=UTF-8''%C3%A9t%C3%A9.csv"
    """
    name = "".join(c for c in filename or "" if c.isprintable() and c not in "/\\").strip(". ")[:200]
    if not name:
        return "attachment"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = plain.replace('"', "_").replace("%", "_") or "download"
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"
