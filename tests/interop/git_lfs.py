"""A site that listens, and repositories whose files are in it, with the git and git-lfs of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ckantoolkit as tk
import pytest
from ckan.lib import app_globals
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.interop.cutting_proxy import CuttingProxy
from tests.portal import Portal, standing

PATIENCE = 600


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    #: Of tus; None without the header.
    offset: int | None


@dataclass
class ListeningSite:
    """A site behind a proxy that can cut connections. ``asked``: the requests so far."""

    portal: Portal
    url: str
    proxy: CuttingProxy
    asked: list[Asked] = field(default_factory=list)

    def transfers(self) -> list[Asked]:
        """The requests that move bytes of files."""
        return [asked for asked in self.asked if asked.method in ("GET", "PUT", "PATCH")]


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def listening() -> Iterator[ListeningSite]:
    # Open before CKAN starts: CKAN has to know its own address, and nobody else can take the port.
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    proxy = CuttingProxy(port)
    url = f"http://127.0.0.1:{proxy.port}"
    with listener, pytest.MonkeyPatch.context() as patch:
        # Over what the ini file says, each time that CKAN reads it.
        patch.setitem(tk.config, "ckan.site_url", url)
        patch.setenv("CKAN_SITE_URL", url)
        # Which it does once in a process, for this one.
        patch.setitem(app_globals._CONFIG_CACHE, "ckan.site_url", url)
        with standing() as portal:
            site = ListeningSite(portal, url, proxy)

            def application(environ: Any, start_response: Any) -> Any:
                offset = environ.get("HTTP_UPLOAD_OFFSET")
                asked = Asked(environ["REQUEST_METHOD"], environ["PATH_INFO"], offset and int(offset))
                site.asked.append(asked)
                return portal.app.flask_app(environ, start_response)

            server = make_server(
                "127.0.0.1",
                port,
                application,
                threaded=True,
                request_handler=_Quiet,
                fd=listener.fileno(),
            )
            thread = threading.Thread(target=server.serve_forever, daemon=True)
            thread.start()
            yield site
            server.shutdown()
            thread.join()
    proxy.close()


@dataclass(frozen=True)
class Repository:
    """A working copy of somebody who has this API token, or none, and a home of their own."""

    directory: Path
    home: Path
    token: str | None = None

    def git(self, *command: str, fails: bool = False, **environment: str) -> str:
        """What git prints, errors included."""
        self.home.mkdir(exist_ok=True)
        helper = "!f() { echo username=whoever; echo password=$CKAN_API_TOKEN; }; f" if self.token else ""
        done = subprocess.run(
            ["git", "-c", "credential.helper=", "-c", f"credential.helper={helper}", *command],
            cwd=self.directory,
            env={
                "PATH": os.environ["PATH"],
                "LANG": "C.UTF-8",
                "HOME": str(self.home),
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_TERMINAL_PROMPT": "0",
                "no_proxy": "*",
                "CKAN_API_TOKEN": self.token or "",
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert (done.returncode != 0) == fails, f"{command}\n{done.stdout}"
        return done.stdout

    def clone(self, directory: Path, token: str | None = None, fails: bool = False) -> Repository:
        """A fresh copy, made by somebody else, with the files that Git LFS has got."""
        directory.mkdir()
        copy = Repository(directory, directory.parent / f"home of {directory.name}", token)
        copy.git("lfs", "install")
        copy.git("clone", "--quiet", str(self.origin), ".", fails=fails)
        return copy

    @property
    def origin(self) -> Path:
        return self.home / "origin.git"

    def files(self) -> dict[str, str]:
        """Path → oid of what Git LFS keeps."""
        lines = self.git("lfs", "ls-files", "--long").splitlines()
        return {line[67:]: line[:64] for line in lines}


def repository(directory: Path, lfs_url: str, token: str, contents: dict[str, bytes]) -> Repository:
    """A new one, with *contents* (path → bytes) in it, all in Git LFS; nothing is pushed."""
    directory.mkdir()
    made = Repository(directory, directory.parent / f"home of {directory.name}", token)
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("init", "--quiet", "--bare", "--initial-branch=main", str(made.origin))
    made.git("remote", "add", "origin", str(made.origin))
    made.git("lfs", "install")
    made.git("lfs", "track", "data/**")
    made.git("config", "-f", ".lfsconfig", "lfs.url", lfs_url)
    made.git("config", "user.name", "Somebody")
    made.git("config", "user.email", "somebody@localhost")
    for path, content in contents.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "Data")
    return made
