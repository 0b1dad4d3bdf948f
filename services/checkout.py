"""Where things lie in this checkout, and the lock that lets one command at a time change them."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
#: Everything made at run time; git ignores it and `make clean` removes it.
RUN = ROOT / ".run"
LOG = RUN / "log"
#: The environment of this very interpreter: each version of CKAN has one of its own.
VENV = Path(sys.prefix)


def make_run_directory() -> None:
    """Create ``.run/``, open to others for passing through only: PostgreSQL may run as another user."""
    RUN.mkdir(mode=0o711, exist_ok=True)
    LOG.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str) -> bool:
    """Replace the file by ``text``, readable by its owner only; False when it said so already."""
    if path.exists() and path.read_text() == text:
        return False
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)
    return True


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold the lock ``.run/<name>.lock``; a second command waits, and a killed one leaves nothing behind."""
    make_run_directory()
    with (RUN / f"{name}.lock").open("w") as lock:
        patience = time.monotonic() + 3
        while not try_lock(lock):
            if time.monotonic() > patience:
                print(f"Waiting: another command works on the {name} of this checkout …", flush=True)
                fcntl.flock(lock, fcntl.LOCK_EX)
                break
            time.sleep(0.05)
        yield


def try_lock(file: TextIO) -> bool:
    """Lock an open file until it is closed or the process ends; False when another process holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
