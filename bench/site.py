"""A CKAN of its own in a process of its own, for one contender."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from services import ini, sandbox
from services.checkout import ROOT, write_private
from services.settings import Settings


class SiteFailed(Exception):
    """The work raised an exception in the site's process; the text is its traceback."""


class Site:
    """Runs functions in the CKAN at the other end of *connection*. They must be importable by name."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def call(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result."""
        return self._run(work, arguments)[1]

    def time(self, work: Callable[..., Any], *arguments: Any) -> float:
        """The seconds that the function took, without what the pipe between the processes adds."""
        return self._run(work, arguments)[0]

    def _run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[float, Any]:
        self._connection.send((work, arguments))
        seconds, result, failure = self._connection.recv()
        if failure:
            raise SiteFailed(failure)
        return seconds, result


@contextmanager
def running(settings: Settings, plugins: str, options: Mapping[str, str] | None = None) -> Iterator[Site]:
    """A new site with *plugins*, on a database and a Redis of its own and the Solr that all share.

    *options*: of its configuration, besides.
    """
    box = sandbox.take(settings)
    path = box.ini.with_name("bench.ini")
    # Default views are made by plugins that are not on.
    own = {**box.options, "ckan.plugins": plugins, "testing": "false", "ckan.views.default_views": ""}
    options = {**own, **(options or {})}
    write_private(path, ini.text(options, base=ROOT / "test.ini"))
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(path, theirs))
    process.start()
    theirs.close()
    try:
        yield Site(ours)
    finally:
        ours.close()  # which ends the process
        process.join()
        box.claim.close()


def serve(port: int = 0) -> str:
    """In the site: serve it over HTTP as well, on a free port or on this one; the base URL."""
    from flask import current_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # which keeps the connection open

        def log(self, type: str, message: str, *rest: Any) -> None:
            pass

    app: Any = current_app
    server = make_server("127.0.0.1", port, app._get_current_object(), threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _serve(path: Path, connection: Connection) -> None:
    search_path = list(sys.path)
    from ckan import model
    from ckan.cli import load_config
    from ckan.config.middleware import make_app

    sys.path[:] = search_path  # CKAN has put its own directory first, whose `tests` would hide ours
    made: Any = make_app(load_config(str(path)))
    app = made._wsgi_app
    while True:
        try:
            work, arguments = connection.recv()
        except EOFError:
            return
        seconds, result, failure = 0.0, None, ""
        try:
            with app.test_request_context("/api/3/action"):
                started = time.perf_counter()
                result = work(*arguments)
                seconds = time.perf_counter() - started
        except Exception:
            failure = traceback.format_exc()
        finally:
            model.Session.remove()  # as at the end of each request
        connection.send((seconds, result, failure))
