"""An object at a server as a file that is fetched while it is read."""

from __future__ import annotations

import io
from typing import Any


class RemoteFile(io.RawIOBase):
    """Reads *size* bytes from any position; what is not read is not fetched. A subclass fetches."""

    def __init__(self, size: int):
        self._size, self._position = size, 0

    def _fetch(self, wanted: int) -> bytes:
        """1 to *wanted* bytes at ``_position``. Raises StoreUnavailable if there are none."""
        raise NotImplementedError

    def _forget(self) -> None:
        """The position is another one from now on, or the file is closed."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        if base + offset != self._position:
            self._forget()
            self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        data = self._fetch(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._forget()
        super().close()
