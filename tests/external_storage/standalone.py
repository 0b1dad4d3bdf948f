"""A real gunicorn with the LFS server and no CKAN, on the database and store of the test process."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
import sqlalchemy as sa
from werkzeug.middleware.http_proxy import ProxyMiddleware

from ckanext.external_storage import roles
from services.checkout import ROOT
from services.sandbox import Sandbox
from tests.portal import Portal, standing

# It ends when its standard input does: however the test run ends, the server goes with it.
_GUARD = """
import subprocess, sys, threading

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, close_fds=False)
def end():
    sys.stdin.read()
    server.terminate()
threading.Thread(target=end, daemon=True).start()
sys.exit(server.wait())
"""


@contextlib.contextmanager
def running(command: list[str], log: Path, keep: Sequence[int] = (), **environ: str) -> Iterator[None]:
    """A program that lives no longer than the test. ``keep``: descriptors that it inherits."""
    with log.open("w") as output:
        guard = subprocess.Popen(
            [sys.executable, "-c", _GUARD, *command],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            pass_fds=keep,
        )
    try:
        yield
    finally:
        assert guard.stdin
        guard.stdin.close()
        guard.wait(60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def wait_for(port: int, log: Path) -> None:
    """Until somebody takes connections there. *log*: what it says."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise AssertionError(f"Nobody answers at port {port}.\n{log.read_text()[-3000:]}")


def own_role(box: Sandbox) -> str:
    """URL of the database for a role that has what ``grant-role`` gives, and nothing else."""
    url = urlsplit(box.options["sqlalchemy.url"])
    role, password = f"{url.path[1:]}_lfs", secrets.token_hex()
    engine = sa.create_engine(box.options["sqlalchemy.url"])
    connection = psycopg2.connect(box.options["sqlalchemy.url"])
    connection.autocommit = True
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None:
            try:
                cursor.execute(f"CREATE ROLE {role} LOGIN")
            except psycopg2.errors.InsufficientPrivilege:
                pytest.fail("PostgreSQL runs since before tests made roles. Run: make stop services")
        cursor.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
        cursor.execute(roles.grants(role, *roles.place(engine)))
    engine.dispose()
    return urlunsplit(url._replace(netloc=f"{role}:{password}@{url.hostname}:{url.port}"))


def write_ini(box: Sandbox, path: Path, **options: str) -> Path:
    lines = [f"{name} = {value}" for name, value in options.items()]
    path.write_text("\n".join(["[app:main]", f"use = config:{box.ini}", *lines, ""]))
    return path


def gunicorn_on(descriptor: int, workers: int, threads: int = 8) -> list[str]:
    """The command; *descriptor* is of a listener."""
    command = [sys.executable, "-m", "gunicorn", "ckanext.external_storage.wsgi:app"]
    command += ["--bind", f"fd://{descriptor}", "--worker-class", "gthread", "--workers", str(workers)]
    command += [
        "--threads",
        str(threads),
        "--timeout",
        "300",
        "--graceful-timeout",
        "1",
        "--no-control-socket",
    ]
    return [*command, "--limit-request-field_size", "16380"]


@contextlib.contextmanager
def gunicorn(ini: Path, **environ: str) -> Iterator[str]:
    """Its address. Connections wait in the listener until the workers are up."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    port, descriptor = listener.getsockname()[1], listener.fileno()
    os.set_inheritable(descriptor, True)
    command = gunicorn_on(descriptor, workers=2)
    with running(command, ini.with_suffix(".log"), [descriptor], CKAN_INI=str(ini), **environ):
        listener.close()  # gunicorn has it: if it ends, connections are refused rather than left waiting
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def portal_before(address: str) -> Iterator[Portal]:
    """A portal whose ``/lfs`` is the server at *address*: CKAN's own answers nothing there."""
    with standing() as portal, lfs_at(portal, address):
        yield portal


@contextlib.contextmanager
def lfs_at(portal: Portal, address: str) -> Iterator[None]:
    """Meanwhile, the portal's ``/lfs`` is the server there."""
    flask_app = portal.app.flask_app
    inside = flask_app.wsgi_app
    flask_app.wsgi_app = ProxyMiddleware(inside, {"/lfs/": {"target": address, "host": None}}, timeout=60)
    try:
        yield
    finally:
        flask_app.wsgi_app = inside
