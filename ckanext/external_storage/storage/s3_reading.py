"""An object on S3 as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError

from ckanext.external_storage.storage.remote_file import RemoteFile
from ckanext.external_storage.storage.s3_connection import store_errors

#: Broken connections in a row, without a byte between them.
ATTEMPTS = 3


class S3Reader(RemoteFile):
    """Reads one state of an object.

    ``get(start)`` answers the body from byte *start* on, of the same state always (If-Match).
    """

    def __init__(self, get: Callable[[int], Any], size: int):
        super().__init__(size)
        self._get = get
        self._body: Any = None

    def _fetch(self, wanted: int) -> bytes:
        with store_errors("GetObject"):
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    if self._body is None:
                        self._body = self._get(self._position)
                    if data := self._body.read(wanted):
                        return data
                except (BotoCoreError, OSError):
                    if attempt == ATTEMPTS:
                        raise
                self._forget()
            raise OSError("the body ended early")

    def _forget(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
