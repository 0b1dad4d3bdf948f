"""A file that grows over several connections: one writer at a time, hashed while it is written.

The size of the file, once it is on the disk, is the only record of how far an upload has come.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Appended, Readable

#: Bytes that are taken from a connection at a time; what a broken one had beyond that is lost.
PIECE = 1 << 18
_READ = 1 << 20
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
            hashing = _Hashing(self.path, here, size) if last and self._hashing_seconds else None
            try:
                written = self._write(file, source, length, here, hashing)
            except BaseException:
                if hashing:
                    hashing.stop()
                raise
            offset += written
            if hashing is None:
                return Appended(offset)
            if offset < size:
                hashing.stop()
                return Appended(offset)
            return Appended(offset, hashing.result(self._hashing_seconds))

    def _write(
        self, file: IO[bytes], source: Readable, length: int, start: int, hashing: _Hashing | None
    ) -> int:
        """How many bytes were written; they are on the disk, also when it ends with an error."""
        written = 0
        try:
            while written < length:
                if self._asked.exists():
                    raise errors.UploadBusy
                try:
                    piece = source.read(min(PIECE, length - written))
                except OSError:  # the client has gone; what it brought stays
                    break
                if not piece:
                    break
                left = memoryview(piece)
                while left:
                    count = os.write(file.fileno(), left)
                    left, written = left[count:], written + count
                if hashing:
                    hashing.there_is(start + written)
        finally:
            try:
                os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), start)  # nobody knows what of it is there
                raise
        return written

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, opened for appending, while nobody else has it. Raises UploadBusy.

        A writer that has it is asked to stop: mostly it is waiting for a client that has come back on another
        connection.
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            file = open(self.path, "ab", buffering=0)  # noqa: SIM115 (it outlives this function)
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


class _Hashing(threading.Thread):
    """Hashes a file of *size* bytes in the end, beside the writer that fills it; *there* bytes are there."""

    def __init__(self, path: Path, there: int, size: int):
        super().__init__(daemon=True)
        self._file = open(path, "rb")  # noqa: SIM115 (the thread closes it)
        self._there = there
        self._size = size
        self._stopped = False
        self._changed = threading.Condition()
        self._sha256: str | None = None
        self.start()

    def run(self) -> None:
        digest, done = hashlib.sha256(), 0
        with self._file:
            while done < self._size:
                with self._changed:
                    while not self._stopped and self._there <= done:
                        self._changed.wait()
                    if self._stopped:
                        return
                    ready = self._there
                while done < ready and not self._stopped:
                    try:
                        piece = self._file.read(min(_READ, ready - done))
                    except OSError:
                        return  # hashed later, by somebody who can say that it does not work
                    if not piece:
                        return
                    digest.update(piece)
                    done += len(piece)
        self._sha256 = digest.hexdigest()

    def there_is(self, there: int) -> None:
        with self._changed:
            self._there = there
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def result(self, seconds: float) -> str | None:
        """The sha256, if it is there after at most *seconds*; all bytes are there now."""
        self.join(seconds)
        self.stop()
        return self._sha256


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
