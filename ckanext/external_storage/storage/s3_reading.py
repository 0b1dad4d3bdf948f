"""An object on S3 as a file."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError

from ckanext.external_storage.storage.s3_connection import store_errors

#: Broken connections in a row, without a byte between them.
ATTEMPTS = 3


class S3Reader(io.RawIOBase):
    """Reads one state of an object from any position; what is not read is not fetched.

    ``get(start)`` answers the body from byte *start* on, of the same state always (If-Match).
    """

    def __init__(self, get: Callable[[int], Any], size: int):
        self._get = get
        self._size = size
        self._position = 0
        self._body: Any = None

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
            self._drop()
            self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        wanted = min(len(buffer), self._size - self._position)
        if wanted <= 0:
            return 0
        with store_errors("GetObject"):
            data = self._read(wanted)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _read(self, wanted: int) -> bytes:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if self._body is None:
                    self._body = self._get(self._position)
                if data := self._body.read(wanted):
                    return data
            except (BotoCoreError, OSError):
                if attempt == ATTEMPTS:
                    raise
            self._drop()
        raise OSError("the body ended early")

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        self._drop()
        super().close()
