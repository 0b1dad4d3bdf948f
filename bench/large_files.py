"""Large files through two servers, ours within CKAN and giftless, over HTTP on this machine.

Both run in a process of their own under the same threaded server. The files are made up while they are sent,
so that the client holds none of them.
"""

from __future__ import annotations

import hashlib
import http.client
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt

from bench import site
from bench.figures import package_patch
from ckanext.authz_service import giftless as profile
from ckanext.authz_service import keys
from demo.client import Client
from services.settings import Settings

SIZE = 1 << 30
BLOCK = 1 << 20


class Made:
    """A file of *size* bytes that are its own and do not compress, made while it is read."""

    def __init__(self, size: int):
        self.size = size
        self._seed = uuid.uuid4().bytes
        digest = hashlib.sha256()
        while block := self.read(BLOCK):
            digest.update(block)
        self.oid = digest.hexdigest()
        self.rewind()

    _at = 0
    _block = b""

    def rewind(self) -> None:
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        self._block = self._block or hashlib.shake_256(self._seed).digest(BLOCK)
        count = min(BLOCK if count < 0 else count, self.size - self._at, BLOCK - self._at % BLOCK)
        start = self._at % BLOCK
        self._at += count
        return self._block[start : start + count]

    @property
    def pointer(self) -> dict[str, Any]:
        return {"oid": self.oid, "size": self.size}


@dataclass(frozen=True)
class Server:
    """``pid`` is its process; ``action`` gives what a batch lets its caller do with the file: ``upload`` or
    ``download``."""

    pid: int
    action: Any


@contextmanager
def ours(settings: Settings) -> Iterator[tuple[Server, Client, str]]:
    """With a client of an editor, and the name of a dataset that they may edit."""
    with site.running(settings, "authz_service external_storage") as on:
        url = on.call(site.serve)
        token, organization, dataset = on.call(prepare)
        client = Client(url, f"{url}/lfs", token)

        def action(file: Made, operation: str) -> dict[str, Any]:
            permit = client.storage_token(organization, dataset)
            (answer,) = client.batch(organization, dataset, operation, [file.pointer], permit)
            found = answer["actions"][operation]
            return {**found, "href": f"{url}{urlsplit(found['href']).path}"}

        yield Server(on.call(_pid), action), client, dataset


@contextmanager
def theirs() -> Iterator[Server]:
    from tests import (
        giftless_server as giftless,  # the site imports this module, too, and CKAN has its own `tests`
    )

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        keys.generate(directory / "keys", profile.ALGORITHM, profile.ROLE)
        key = keys.private_path(directory / "keys", profile.ROLE)
        with giftless.running(keys.public_path(directory / "keys", profile.ROLE), directory) as server:

            def action(file: Made, operation: str) -> dict[str, Any]:
                now = int(time.time())
                claims = {
                    "sub": "bench",
                    "scopes": "obj:bench/files/*:read,write",
                    "iat": now,
                    "exp": now + 900,
                }
                token = jwt.encode(claims, key.read_bytes(), algorithm=profile.ALGORITHM)
                answered = server.batch("bench/files", token, operation, file.pointer)
                return giftless.actions(answered)[operation]

            yield Server(server.pid, action)


# --- over HTTP ---------------------------------------------------------------------------------------------


def put(action: dict[str, Any], file: Made) -> float:
    """Seconds until the server has said that it has the file."""
    connection, path = _connection(action["href"])
    file.rewind()
    started = time.perf_counter()
    connection.request("PUT", path, file, {**action["header"], "Content-Length": str(file.size)})  # type: ignore[arg-type]
    response = connection.getresponse()
    response.read()
    seconds = time.perf_counter() - started
    assert response.status == 200, response.status
    connection.close()
    return seconds


def get(href: str, header: dict[str, str], file: Made) -> float:
    """Seconds until all of the file is here; nothing of it is kept."""
    connection, path = _connection(href)
    started = time.perf_counter()
    connection.request("GET", path, headers=header)
    response = connection.getresponse()
    length, buffer = 0, bytearray(BLOCK)
    while count := response.readinto(buffer):
        length += count
    seconds = time.perf_counter() - started
    assert (response.status, length) == (200, file.size)
    connection.close()
    return seconds


def _connection(href: str) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(href)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=600, blocksize=BLOCK)
    return connection, f"{parts.path}?{parts.query}" if parts.query else parts.path


# --- memory ------------------------------------------------------------------------------------------------


class Growth:
    """By how much a process grew at most, in MiB, since this was made."""

    def __init__(self, pid: int):
        self._status = Path(f"/proc/{pid}/status")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew (proc(5))
        self._before = self._mib("VmRSS")

    def peak(self) -> float:
        return round(self._mib("VmHWM") - self._before, 1)

    def _mib(self, field: str) -> float:
        line = next(line for line in self._status.read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) / 1024


# --- in the site -------------------------------------------------------------------------------------------


def prepare() -> tuple[str, str, str]:
    """An editor's API token, and names of an organisation and of a dataset of it."""
    from ckan.plugins import toolkit as tk

    from ckanext.authz_service import config as authz
    from ckanext.external_storage import config
    from ckanext.external_storage.lfs import capability

    path, keys_dir = config.capability_secret_file(), authz.keys_dir()
    assert path
    assert keys_dir
    capability.generate(path)
    keys.generate(keys_dir)
    editor, dataset = package_patch.create(0)
    sysadmin: Any = {"ignore_auth": True, "user": editor}
    token = tk.get_action("api_token_create")(sysadmin, {"user": editor, "name": "bench"})["token"]
    shown = tk.get_action("package_show")(sysadmin, {"id": dataset})
    return token, shown["organization"]["name"], shown["name"]


def _pid() -> int:
    import os

    return os.getpid()
