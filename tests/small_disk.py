"""A file system that is soon full."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_BALLAST = "ballast"


@contextmanager
def at(directory: Path, mebibytes: int) -> Iterator[None]:
    """Of this size, mounted at *directory*. A test for which the machine does not do that is skipped."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount the small file system that gets full")
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", directory]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs: " + mounted.stderr)
    try:
        yield
    finally:
        subprocess.run(["umount", directory], check=True)


def set_writable(directory: Path, writable: bool) -> None:
    """Of a directory given to `at`."""
    how = "rw" if writable else "ro"
    subprocess.run(["mount", "-o", f"remount,{how}", directory], check=True)


def fill(directory: Path) -> None:
    with (directory / _BALLAST).open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()


def make_room(directory: Path) -> None:
    """What `fill` has taken."""
    (directory / _BALLAST).unlink()
