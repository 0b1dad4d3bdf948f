"""One stored object as an HTTP answer: ranges, validators, and headers that keep hostile files harmless."""

from __future__ import annotations

import mimetypes
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any
from urllib.parse import quote

from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import parse_range_header
from werkzeug.wrappers import Response
from werkzeug.wsgi import wrap_file

#: What a browser would run, or read as a page that runs something: never shown, whatever the options say.
ACTIVE = ("html", "xml", "svg", "script", "xsl", "multipart", "flash", "css", "wasm")

_SANDBOX = "default-src 'none'; sandbox"
# Browsers show a PDF with a program of their own, which they do not start in a sandbox. It runs no script of
# the file against the site.
_PDF = "default-src 'none'; object-src 'self'; plugin-types application/pdf; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Presentation:
    """As what a file reaches a browser: the values of ``Content-Type``, ``Content-Disposition`` and
    ``Content-Security-Policy``."""

    content_type: str
    disposition: str
    policy: str = _SANDBOX


def presentation(filename: str | None, inline_types: Collection[str] = ()) -> Presentation:
    """How to give away a file of this name.

    As an attachment, but inline where its type is one of *inline_types*. Uploaded bytes are hostile: the type
    comes from the name's ending only, and never is one that a page could run as its script.
    """
    kind = media_type(filename)
    if kind not in inline_types or is_active(kind):
        return Presentation(_with_charset(kind), content_disposition(filename))
    # Browsers download CSV, whatever the disposition says.
    shown = "text/plain" if kind.startswith("text/") else kind
    policy = _PDF if kind == "application/pdf" else _SANDBOX
    return Presentation(_with_charset(shown), content_disposition(filename, "inline"), policy)


def is_active(media_type: str) -> bool:
    """Would a browser run it, or read it as a page?

    >>> is_active("image/svg+xml"), is_active("image/png")
    (True, False)
    """
    return any(part in media_type for part in ACTIVE)


def object_response(
    environ: dict[str, Any],
    file: IO[bytes],
    etag: str,
    size: int,
    filename: str | None = None,
    shown: Presentation | None = None,
) -> Response:
    """Serve *file* (*size* bytes): GET and HEAD, one byte range, If-Range, If-None-Match.

    *etag* is a strong one (RFC 9110 §8.8.3): where the sha256 is known that is what it is. It is *shown* as
    `presentation` says of the filename, if that is not given: as an attachment.
    """
    response = _described(wrap_file(environ, file, buffer_size=1 << 18), shown or presentation(filename))
    response.direct_passthrough = True
    response.content_length = size
    response.set_etag(etag)
    response.call_on_close(file.close)  # also where nothing of it is sent
    try:
        return response.make_conditional(
            _with_one_range(environ, size), accept_ranges=True, complete_length=size
        )
    except RequestedRangeNotSatisfiable:
        response.close()
        return Response(status=416, headers={"Content-Range": f"bytes */{size}"})


def head_response(environ: dict[str, Any], etag: str, size: int, shown: Presentation) -> Response:
    """The answer to HEAD for a file that somebody else will send: what `object_response` says of it."""
    return object_response(environ, BytesIO(), etag, size, shown=shown)


def handed_over(headers: Mapping[str, str], etag: str, shown: Presentation) -> Response:
    """An answer of which the web server in front sends the body: *headers* name the file to it.

    It sees to ranges and to the length.
    """
    response = _described(b"", shown)
    response.set_etag(etag)
    response.headers.update(headers)
    del response.headers["Content-Length"]
    return response


def redirect_response(href: str) -> Response:
    """Send the client to a signed address, which is a secret for as long as it opens anything: nobody keeps
    it, and the page there does not hear of it."""
    response = Response(status=302, headers={"Location": href})
    response.autocorrect_location_header = False  # it is signed as it is
    response.headers["Cache-Control"] = "private, no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _described(body: Any, shown: Presentation) -> Response:
    response = Response(body, content_type=shown.content_type)
    response.headers["Content-Disposition"] = shown.disposition
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = shown.policy
    response.headers["Referrer-Policy"] = "no-referrer"
    # Kept by the reader only, and asked again each time: permission may have changed.
    response.headers["Cache-Control"] = "private, no-cache"
    return response


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
    found, encoding = mimetypes.guess_type(filename or "")
    if encoding:  # data.csv.gz is no CSV yet
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    found = found or "application/octet-stream"
    return "text/plain" if found.endswith(("javascript", "ecmascript")) else found


def _with_charset(media_type: str) -> str:
    return f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type


def content_disposition(filename: str | None, kind: str = "attachment") -> str:
    """``attachment`` with the name for old and for current clients (RFC 6266 §4.3, Appendix D).

    What is not a printable character goes: also those that turn the order of the others round, so that
    ``exe.csv`` is not shown for what ends in ``.exe``.

    >>> content_disposition("été.csv")
    "attachment; filename=\\"ete.csv\\"; filename*=UTF-8''%C3%A9t%C3%A9.csv"
    """
    name = _at_most(200, "".join(c for c in filename or "" if c.isprintable() and c not in "/\\").strip(". "))
    if not name:
        return kind
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    # What normalising makes of one character may be a slash or a quote of several others.
    plain = "".join("_" if c in '"%/\\' else c for c in plain) or "download"
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


def _at_most(length: int, name: str) -> str:
    """The beginning of a long name, with the ending that says what kind of file it is."""
    if len(name) <= length:
        return name
    stem, dot, ending = name.rpartition(".")
    ending = dot + ending if stem and len(ending) <= 20 else ""
    return name[: length - len(ending)] + ending
