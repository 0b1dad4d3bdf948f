"""Forms that carry files are written to TMPDIR as they arrive, before any action runs.

That is the web framework's doing and cannot be avoided. But it takes as long as the client takes to send, so
that it comes before everything else here: no database transaction is open meanwhile. And a form for which
there is no room is refused before it is read.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

log = logging.getLogger(__name__)

NO_ROOM = (
    "There is no room on the server to take in this form: it has {needed} bytes, and {free} are free in the"
    " directory for temporary files (TMPDIR). Nothing was stored. The site's administrator can make room"
    " there, or set TMPDIR to a directory on a larger disk.\n"
)


def read_first(app: Flask) -> None:
    """Before CKAN asks its database who is calling, the form is there."""
    functions = app.before_request_funcs.setdefault(None, [])
    if functions and not getattr(functions[0], "reads_form", False):
        functions[0] = _after_the_form(functions[0])


def _after_the_form(first: Callable[[], Any]) -> Callable[[], Any]:
    def read_form_then() -> Any:
        failure = None
        if request.method != "GET" and request.mimetype == "multipart/form-data":
            try:
                _ = request.files  # which reads it
            except HTTPException as error:  # the page that says so needs to know who is calling
                failure = error
        answer = first()
        if failure:
            raise failure
        return answer

    read_form_then.reads_form = True  # pyright: ignore[reportFunctionMemberAccess]
    return read_form_then


class RefusingWithoutRoom:
    """WSGI middleware: a form larger than the room in TMPDIR is answered 507 (RFC 4918 §11.5)."""

    def __init__(self, app: Any):
        self._app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        form = Request(environ)
        needed = form.content_length or 0
        if needed and form.mimetype == "multipart/form-data":
            free = _free()
            if free is not None and needed > free:
                log.error("A form of %s bytes finds only %s in %s.", needed, free, tempfile.gettempdir())
                answer = Response(NO_ROOM.format(needed=needed, free=free), status=507, mimetype="text/plain")
                return answer(environ, start_response)
        return self._app(environ, start_response)


def _free() -> int | None:
    """Bytes; None where the system does not say."""
    try:
        return shutil.disk_usage(tempfile.gettempdir()).free
    except OSError:
        return None
