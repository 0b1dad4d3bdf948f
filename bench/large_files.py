"""Large files through two servers, ours within CKAN and giftless, over HTTP on this machine.

Both run in a process of their own under the same threaded server. The files are made up while they are sent,
so that the client holds none of them.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests

from bench import site
from bench.figure import Case, Contender, in_turn
from bench.figures import package_patch
from ckanext.authz_service import giftless as profile
from ckanext.authz_service import keys
from demo.client import Client
from services.settings import Settings

SIZE = 1 << 30
BLOCK = 1 << 20
BATCH_JSON = "application/vnd.git-lfs+json"


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
    """``pid``: of its process. ``repository``: what its Git LFS addresses begin with; ``token`` makes a token
    for that. ``root``: where the server is really reached, if it believes that it is elsewhere."""

    pid: int
    repository: str
    token: Callable[[], str]
    root: str | None = None

    def ask(
        self, http: requests.Session, operation: str, pointers: list[dict[str, Any]]
    ) -> tuple[float, list[dict[str, Any]]]:
        """Seconds that a batch took, and what was said to each of *pointers*."""
        body = json.dumps({"operation": operation, "transfers": ["basic"], "objects": pointers})
        header = {"Authorization": f"Bearer {self.token()}", "Content-Type": BATCH_JSON, "Accept": BATCH_JSON}
        url = f"{self.repository}.git/info/lfs/objects/batch"
        started = time.perf_counter()
        response = http.post(url, data=body, headers=header, timeout=120)
        seconds = time.perf_counter() - started
        assert response.status_code == 200, response.text
        return seconds, response.json()["objects"]

    def actions(self, files: Sequence[Made], operation: str) -> list[dict[str, Any]]:
        """What a client may do for the ``upload`` or the ``download`` of each of *files*."""
        with requests.Session() as http:
            _, answers = self.ask(http, operation, [file.pointer for file in files])
        return [
            {
                name: {**action, "href": self.reachable(action["href"])}
                for name, action in answer["actions"].items()
            }
            for answer in answers
        ]

    def action(self, file: Made, operation: str) -> dict[str, Any]:
        (actions,) = self.actions([file], operation)
        return actions[operation]

    def reachable(self, href: str) -> str:
        parts = urlsplit(href)  # a store is where it says: at a port of its own
        return f"{self.root}{parts.path}" if self.root and parts.port is None else href


def confirm(action: dict[str, Any], pointer: dict[str, Any]) -> None:
    """Tell the server that all bytes of an upload are there."""
    header = {**action.get("header", {}), "Content-Type": BATCH_JSON}
    answered = requests.post(action["href"], data=json.dumps(pointer), headers=header, timeout=60)
    assert answered.status_code == 200, answered.text


@contextmanager
def ours(
    settings: Settings, options: Mapping[str, str] | None = None
) -> Iterator[tuple[Server, Client, str]]:
    """With a client of an editor, and the name of a dataset that they may edit.

    *options*: of the site, besides; where its files are, say.
    """
    # Uploads are begun that nobody finishes.
    options = {"ckanext.external_storage.max_unfinished_uploads": "0", **(options or {})}
    with site.running(settings, "authz_service external_storage", options) as on:
        url = on.call(site.serve)
        token, organization, dataset = on.call(prepare)
        client = Client(url, f"{url}/lfs", token)

        repository = f"{url}/lfs/{organization}/{dataset}"
        permit = partial(client.storage_token, organization, dataset)
        yield Server(on.call(_pid), repository, permit, url), client, dataset


@contextmanager
def bucket(settings: Settings) -> Iterator[tuple[Any, str, dict[str, str]]]:
    """On the S3 server of the services: a client of its owner, the name, and the options of a site for it."""
    from tests import s3  # as above: not where the site runs

    client = s3.client_of(settings, settings.ports["s3"])
    name = s3.make_bucket(client)
    try:
        yield client, name, s3.options_for(settings, client, name)
    finally:
        s3.remove_bucket(client, name)


@contextmanager
def theirs(on_s3: str | None = None) -> Iterator[Server]:
    """on_s3: the part of giftless' configuration that has it keep files there; by default, the local disk."""
    from tests import (
        giftless_server as giftless,  # the site imports this module, too, and CKAN has its own `tests`
    )

    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        keys.generate(directory / "keys", profile.ALGORITHM, profile.ROLE)
        key = keys.private_path(directory / "keys", profile.ROLE)
        public_key = keys.public_path(directory / "keys", profile.ROLE)
        with giftless.running(public_key, directory, on_s3=on_s3) as server:

            def token() -> str:
                now = int(time.time())
                claims = {
                    "sub": "bench",
                    "scopes": "obj:bench/files/*:read,write",
                    "iat": now,
                    "exp": now + 900,
                }
                return jwt.encode(claims, key.read_bytes(), algorithm=profile.ALGORITHM)

            yield Server(server.pid, f"{server.url}/bench/files", token)


# --- work for both ------------------------------------------------------------------------------------------


#: Readies what is not measured, and gives back what is.
Prepared = Callable[[], Contender]


def uploads(server: Server, count: int, size: int) -> Contender:
    """So many new files of *size* bytes, all at the same time."""
    files = [Made(size) for _ in range(count)]
    answers = [answer["upload"] for answer in server.actions(files, "upload")]

    def sent() -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(put, answers, files))
        return time.perf_counter() - started

    return sent


def uploads_to_both(
    name: str, count: int, size: int, names: tuple[str, str], rounds: int, chance: random.Random
) -> Case:
    """`uploads` to ours and to giftless. *names*: what the two are called."""
    settings = Settings.load()
    assert settings
    with ours(settings) as (our_server, _client, _dataset), theirs() as their_server:
        works: dict[str, tuple[int, Prepared]] = {
            each: (server.pid, partial(uploads, server, count, size))
            for each, server in zip(names, (our_server, their_server), strict=True)
        }
        return case(name, works, rounds, chance)


def case(name: str, works: Mapping[str, tuple[int, Prepared]], rounds: int, chance: random.Random) -> Case:
    """*works*: for each contender the process that serves it, whose growth is watched: ``rss_growth_mib``."""
    growth: dict[str, list[float]] = {contender: [] for contender in works}

    def watched(contender: str, pid: int, prepare: Prepared) -> float:
        work = prepare()
        grown = Growth(pid)
        seconds = work()
        growth[contender].append(grown.peak())
        return seconds

    contenders = {each: partial(watched, each, pid, prepare) for each, (pid, prepare) in works.items()}
    values = in_turn(contenders, rounds, 0, chance)
    return Case(name, values, {each: {"rss_growth_mib": max(found)} for each, found in growth.items()})


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
