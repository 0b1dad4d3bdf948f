"""A file that is being written: hashed, and brought to the disk, beside the writing.

So there is little left to do when its last byte has come. Small files need no threads, and get none.
"""

from __future__ import annotations

import hashlib
import os
import threading
from types import TracebackType
from typing import IO

#: Bytes that are best taken from a connection at a time: a processor's cache still has them when they are
#: written. What a broken connection had beyond them is lost.
PIECE = 1 << 18
#: Bytes that wait for a thread, at least. With fewer, many uploads at the same time would have as many
#: threads again that wake each other, and one upload would gain a few milliseconds.
_TOGETHER = 32 << 20


class GrowingFile:
    """*file* is open for reading and, unbuffered, for writing at its end; *there*: bytes that it has already.

    *hashed*: whether anybody will ask for its `sha256`. Used by one thread. Raises OSError.
    """

    def __init__(self, file: IO[bytes], there: int = 0, hashed: bool = True):
        self._descriptor = file.fileno()
        self.size = there
        self._hashing = _Hashing(self._descriptor, 0) if hashed else None
        self._syncing = _Syncing(self._descriptor, there)

    def __enter__(self) -> GrowingFile:
        if self._hashing:
            self._hashing.there_is(self.size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for beside in (self._hashing, self._syncing):
            if beside:
                beside.stop()  # before the file can be closed

    def write(self, piece: bytes) -> None:
        left = memoryview(piece)
        while left:
            count = os.write(self._descriptor, left)
            left = left[count:]
            self.size += count
        if self._hashing:
            self._hashing.there_is(self.size)
        self._syncing.there_is(self.size)

    def sync(self) -> None:
        """All that was written is on the disk then."""
        self._syncing.finish()
        os.fsync(self._descriptor)

    def sha256(self, seconds: float | None = None) -> str | None:
        """Of the whole file, in lower-case hex; None if that takes longer than *seconds*, or the file cannot
        be read."""
        return self._hashing.result(seconds) if self._hashing else None


class _Beside(threading.Thread):
    """Works on the file up to where the writer is, as soon as that is worth a thread.

    start: bytes that are not its business.
    """

    def __init__(self, descriptor: int, start: int):
        super().__init__(daemon=True)
        self._descriptor = descriptor
        self._there = self._done = start
        self._stopped = self._all = False
        self._changed = threading.Condition()

    def there_is(self, there: int) -> None:
        with self._changed:
            self._there = there
            self._changed.notify()
        if self.ident is None and there - self._done >= _TOGETHER:
            self.start()

    def stop(self) -> None:
        """It does nothing more after this."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self.ident is not None:
            self.join()

    def _end(self) -> None:
        """Nothing more will come."""
        with self._changed:
            self._all = True
            self._changed.notify()

    def _next(self) -> int | None:
        """Up to where there is something to do; None if that was all."""
        with self._changed:
            while not self._stopped and not self._all and self._there - self._done < _TOGETHER:
                self._changed.wait()
            return None if self._stopped or self._done == self._there else self._there


class _Hashing(_Beside):
    def __init__(self, descriptor: int, start: int):
        super().__init__(descriptor, start)
        self._sha256: str | None = None

    def run(self) -> None:
        digest = hashlib.sha256()
        try:
            while (there := self._next()) is not None:
                while self._done < there and not self._stopped:
                    piece = os.pread(self._descriptor, min(PIECE, there - self._done), self._done)
                    if not piece:
                        return
                    digest.update(piece)
                    self._done += len(piece)
        except OSError:
            return  # whoever reads the file next can say that it does not work
        if not self._stopped:
            self._sha256 = digest.hexdigest()

    def result(self, seconds: float | None) -> str | None:
        self._end()
        if self.ident is None:
            self.run()
        else:
            self.join(seconds)
        self.stop()
        return self._sha256


class _Syncing(_Beside):
    """Otherwise the system begins to write to the disk when somebody waits for it, or some seconds later."""

    def __init__(self, descriptor: int, start: int):
        super().__init__(descriptor, start)
        self._failed: OSError | None = None

    def run(self) -> None:
        try:
            while (there := self._next()) is not None:
                os.fdatasync(self._descriptor)
                self._done = there
        except OSError as error:
            self._failed = error

    def finish(self) -> None:
        """Raises OSError if some bytes are not on the disk: the system says so once, and has told us."""
        self.stop()
        if self._failed:
            raise self._failed
