"""A file that grows over several connections: one writer at a time, hashed while it is written.

The size of the file, once it is on the disk, is the only record of how far an upload has come.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Appended, Readable
from ckanext.external_storage.storage.growing_file import PIECE, GrowingFile

#: How long a new writer waits for the one before it to stop: it looks after each piece.
_PATIENCE_SECONDS = 5.0


class PartFile:
    """The bytes of one upload that have arrived so far, in *path*, whose directory exists.

    hashing_seconds: how long the hash may still take after the last byte; beyond that, nobody waits for it.
    With 0, nothing is hashed here.
    """

    def __init__(self, path: Path, hashing_seconds: float):
        self.path = path
        self._asked = path.with_name(path.name + ".asked")
        self._hashing_seconds = hashing_seconds

    def size(self) -> int | None:
        """Bytes that are on the disk now; None if there is no file. Raises OSError."""
        try:
            with open(self.path, "rb") as file:
                size = os.fstat(file.fileno()).st_size  # first: what comes meanwhile may not be on the disk
                os.fsync(file.fileno())
        except FileNotFoundError:
            return None
        return size

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
        self._asked.unlink(missing_ok=True)

    def append(self, offset: int, source: Readable, length: int, size: int) -> Appended:
        """As `base.AppendingStore.append`. Raises OSError, WrongOffset, UploadBusy."""
        with self._locked() as file:
            here = os.fstat(file.fileno()).st_size
            if here != offset:
                raise errors.WrongOffset(here)
            # Only the connection that is to bring the last byte hashes: with each of many it would be read
            # again from the start. It does so from the disk's cache, beside the writing.
            last = offset + length == size
            hashed = last and self._hashing_seconds > 0
            with GrowingFile(file, here, hashed) as growing:
                try:
                    self._take(growing, source, offset + length)
                finally:
                    try:
                        growing.sync()
                    except OSError:
                        os.ftruncate(file.fileno(), here)  # nobody knows what of it is there
                        raise
                whole = growing.size == size
                return Appended(growing.size, growing.sha256(self._hashing_seconds) if whole else None)

    def _take(self, growing: GrowingFile, source: Readable, end: int) -> None:
        while growing.size < end:
            if self._asked.exists():
                raise errors.UploadBusy
            try:
                piece = source.read(min(PIECE, end - growing.size))
            except OSError:  # the client has gone; what it brought stays
                return
            if not piece:
                return
            growing.write(piece)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, opened for appending, while nobody else has it. Raises UploadBusy.

        A writer that has it is asked to stop: mostly it is waiting for a client that has come back on another
        connection.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 (it outlives this function)
            try:
                if _try_lock(file):
                    if _same(self.path, file):
                        break
                elif time.monotonic() > deadline:
                    raise errors.UploadBusy
                else:
                    self._asked.touch()
                    time.sleep(0.02)
            except BaseException:
                file.close()
                raise
            file.close()
        with file:  # closing it gives the lock back
            self._asked.unlink(missing_ok=True)
            yield file


def _try_lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _same(path: Path, file: IO[bytes]) -> bool:
    """Is *file* still what stands at *path*? It may have been deleted before it was locked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
