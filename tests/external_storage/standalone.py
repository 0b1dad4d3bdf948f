"""A real gunicorn with the LFS server and no CKAN, on the database and store of the test process."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
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

# It ends when its standard input does: however the test run ends, gunicorn goes with it.
_PROGRAM = """
import os, subprocess, sys, threading

descriptor = int(sys.argv[1])
server = subprocess.Popen(
    [sys.executable, "-m", "gunicorn", *sys.argv[2:], "--bind", f"fd://{descriptor}"], pass_fds=[descriptor]
)
def end():
    sys.stdin.read()
    server.terminate()
threading.Thread(target=end, daemon=True).start()
sys.exit(server.wait())
"""


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


@contextlib.contextmanager
def gunicorn(ini: Path, **environ: str) -> Iterator[str]:
    """Its address. Connections wait in the listener until the workers are up."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    command = [sys.executable, "-c", _PROGRAM, str(listener.fileno()), "ckanext.external_storage.wsgi:app"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket"]
    command += ["--timeout", "300", "--graceful-timeout", "1", "--limit-request-field_size", "16380"]
    with open(ini.with_suffix(".log"), "w") as log:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "CKAN_INI": str(ini), **environ},
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[listener.fileno()],
        )
        port = listener.getsockname()[1]
        listener.close()  # gunicorn has it: if it ends, connections are refused rather than left waiting
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            assert server.stdin
            server.stdin.close()
            server.wait(60)


@contextlib.contextmanager
def portal_before(address: str) -> Iterator[Portal]:
    """A portal whose ``/lfs`` is the server at *address*: CKAN's own answers nothing there."""
    with standing() as portal:
        flask_app = portal.app.flask_app
        inside = flask_app.wsgi_app
        flask_app.wsgi_app = ProxyMiddleware(inside, {"/lfs/": {"target": address, "host": None}}, timeout=60)
        try:
            yield portal
        finally:
            flask_app.wsgi_app = inside
