"""A gunicorn with the LFS server, to be ended without a warning, and a client that always goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import sqlalchemy as sa

from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.transfer import hashing
from services.checkout import ROOT
from tests.external_storage.standalone import gunicorn_on
from tests.portal import oid_of, organization, path
from tests.upload_client import TUS

#: A server that has not come back after this long will not come back.
PATIENCE_SECONDS = 120
#: What a server says that cannot just now, or finds the bytes of the connection before not settled yet.
LATER = {409, 423, 503}


class Server:
    """Its listener stays with the test: who connects while no server is there waits for the next one."""

    def __init__(self, ini: Path, threads: int = 8):
        self._ini, self._threads = ini, threads
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.log = ini.with_suffix(".log")
        self.start()

    def start(self) -> None:
        descriptor = self._listener.fileno()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                gunicorn_on(descriptor, workers=1, threads=self._threads),
                cwd=ROOT,
                env={**os.environ, "CKAN_INI": str(self._ini)},
                pass_fds=[descriptor],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # gunicorn's processes are a group of their own, killed as one
            )

    def worker(self) -> int:
        """The pid of the process that answers, once it does."""
        assert self._process
        assert requests.get(f"{self.address}/lfs/health", timeout=PATIENCE_SECONDS).json()["healthy"]
        id = self._process.pid
        return int(Path(f"/proc/{id}/task/{id}/children").read_text())

    def kill(self) -> None:
        if self._process:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.kill()
        self._listener.close()


@dataclass
class Sender:
    """Brings one file in as users' clients do: after each failure it asks how far it is, and goes on.

    ``size_of_pieces``: bytes of one request, where they go through the server. ``sent``: requests to the
    server so far; ``failed``: those without an answer, or with one that says to come again; ``gone``: how
    often the upload was not there any more.
    """

    address: str
    dataset: dict[str, Any]
    token: str
    data: bytes = field(repr=False)
    size_of_pieces: int
    engine: sa.Engine
    store: ObjectStore
    upload: str | None = None
    sent: int = 0
    failed: int = 0
    gone: int = 0
    stopped: bool = False

    def bring(self) -> dict[str, Any] | None:
        """The upload when it is verified; None if it was `stopped` before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.stopped:
            assert time.monotonic() < deadline, f"{self} came to no end"
            try:
                shown = self._go_on()
            except (
                requests.ConnectionError,
                requests.Timeout,
                requests.exceptions.ChunkedEncodingError,
                _Later,
            ):
                self.failed += 1
                time.sleep(0.05)
                continue
            if shown and shown["state"] == "verified":
                return shown
        return None

    def _go_on(self) -> dict[str, Any] | None:
        if self.upload is None:
            place = f"/lfs/{organization(self.dataset)}/{self.dataset['name']}.git/uploads"
            message = {"size": len(self.data), "fingerprint": oid_of(self.data)}
            self.upload = self._ask("POST", place, json=message).json()["id"]
        answer = self._ask("GET", f"/lfs/uploads/{self.upload}", also=404)
        if answer.status_code == 404:
            self.upload, self.gone = None, self.gone + 1
            return None
        shown = answer.json()
        assert shown["state"] in ("open", "received", "verified"), shown
        if shown["state"] == "received":
            hashing.check(self.engine, self.store, shown["id"])  # the work of CKAN's job
        elif shown["state"] == "open" and shown["transfer"] == "tus":
            self._append(shown)
        elif shown["state"] == "open":
            self._send_parts(shown)
        return shown

    def _append(self, shown: dict[str, Any]) -> None:
        offset, address = shown["offset"], f"/lfs/uploads/{shown['id']}/tus"
        if offset == len(self.data):
            self._ask("HEAD", address, headers=TUS)
        while offset < len(self.data):
            piece = self.data[offset : offset + self.size_of_pieces]
            headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            offset = int(self._ask("PATCH", address, data=piece, headers=headers).headers["Upload-Offset"])

    def _send_parts(self, shown: dict[str, Any]) -> None:
        size, address = shown["part_size"], f"/lfs/uploads/{shown['id']}"
        there = {part["number"] for part in shown.get("parts", [])}
        for number in range(1, -(-len(self.data) // size) + 1):
            if number not in there:
                (part,) = self._ask("POST", f"{address}/parts", json={"numbers": [number]}).json()["parts"]
                body = self.data[size * (number - 1) : size * number]
                answer = requests.put(
                    part["href"], data=body, headers=part["header"], timeout=PATIENCE_SECONDS
                )
                # Joined already, which the server did not live to say: there is nothing to send to.
                assert answer.status_code in (200, 404), answer.text
        self._ask("POST", f"{address}/complete", json={})

    def _ask(self, method: str, address: str, also: int = 200, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        self.sent += 1
        answer = requests.request(
            method, self.address + path(address), headers=headers, timeout=PATIENCE_SECONDS, **more
        )
        if answer.status_code in LATER:
            raise _Later(answer.text)
        assert answer.ok or answer.status_code == also, f"{method} {address}: {answer.text}"
        return answer


class _Later(Exception):
    """The server asks to come again."""
