"""Objects at an LFS server that is not ours, such as giftless.

It keeps them by dataset, as ``<namespace>/<dataset id>/<oid>``; nothing is ever deleted there, since the
API of git-lfs has no way to do it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import tempfile
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import IO, Literal, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

import requests

from ckanext.external_storage import errors
from ckanext.external_storage.client import LfsServer, Trouble
from ckanext.external_storage.storage.base import SERVER_KEYS, Readable, Signed, Stat, sha256_of
from ckanext.external_storage.storage.remote_file import RemoteFile

CHUNK = 1 << 20
# The upload's id makes a key unique; the server knows nothing of it.
_KEY = re.compile(SERVER_KEYS + r"([A-Za-z0-9_-]{1,100})/([0-9a-f]{64}|_)\.([0-9]{1,19})\.[0-9a-f-]{36}")

#: ``(dataset id, oid, "read" | "write") → token`` that opens just that, for the server only.
Token = Callable[[str, str, Literal["read", "write"]], str]


class _Place(NamedTuple):
    package_id: str
    oid: str
    size: int


class LfsServerStore:
    """`base.ServerStore` at *server*, in the organisation *namespace* there."""

    def __init__(self, server: LfsServer, namespace: str, token: Token):
        self._server, self._namespace, self._token = server, namespace, token

    def key_of(self, package_id: str | None, oid: str | None, size: int, upload_id: str) -> str:
        # A file that comes before its dataset has a place of its own.
        key = f"{SERVER_KEYS}{package_id or upload_id}/{oid or '_'}.{size}.{upload_id}"
        _place(key)
        return key

    def put(self, key: str, source: Readable, size: int, oid: str | None) -> str:
        place = _place(key)
        if oid is None:  # the server wants to hear it first
            with tempfile.SpooledTemporaryFile(CHUNK) as copy:
                sha256 = _copied(source, copy, size)
                return self._put(place._replace(oid=sha256), cast(IO[bytes], copy), size, sha256)
        return self._put(place, source, size, oid)

    def _put(self, place: _Place, source: Readable, size: int, oid: str) -> str:
        checked = _Checked(source, size, oid)
        upload = self._server.upload(*self._asking(place, "write"), place.oid, size)
        if upload is not None:
            self._server.send(upload, checked, oid, size)
        while checked.read(CHUNK):  # what has not been sent must be right, too
            pass
        if upload is None:
            with self._opened(place) as there:
                if sha256_of(there) != oid:
                    raise errors.OtherBytesThere(oid)
        return oid

    def open(self, key: str) -> IO[bytes]:
        return self._opened(_place(key))

    def _opened(self, place: _Place) -> IO[bytes]:
        return io.BufferedReader(_Download(functools.partial(self._fetch, place), place.size), CHUNK)

    def stat(self, key: str) -> Stat | None:
        size = _place(key).size
        return Stat(size, "") if self.download_action(key) else None

    def delete(self, key: str) -> None:
        """Nothing: the server has no way to delete. What stays there is read through CKAN only."""

    def delete_unfinished(self, older_than: datetime) -> int:
        return 0

    def upload_action(self, key: str) -> Signed | None:
        place = _place(key)
        found = self._server.upload(*self._asking(place, "write"), place.oid, place.size)
        return found.upload if found else None

    def download_action(self, key: str, filename: str | None = None) -> Signed | None:
        action = self._download(_place(key), _plain(filename) if filename else None)
        if action is None or not filename:
            return action
        # giftless has the name in its own addresses, but does not use it unless it is told how.
        asked = parse_qs(urlsplit(action.href).query).keys()
        if {"jwt", "filename"} <= asked and "disposition" not in asked:
            return replace(action, href=f"{action.href}&disposition=attachment")
        return action

    def _download(self, place: _Place, filename: str | None = None) -> Signed | None:
        return self._server.download(*self._asking(place, "read"), place.oid, place.size, filename)

    def _fetch(self, place: _Place, start: int) -> requests.Response:
        action = self._download(place)
        if action is None:
            raise errors.StoreUnavailable from Trouble("it has no such object any more, or of another size")
        return self._server.fetch(action, start)

    def _asking(self, place: _Place, action: Literal["read", "write"]) -> tuple[str, str]:
        token = self._token(place.package_id, place.oid, action)
        return f"{self._namespace}/{place.package_id}", token


def _copied(source: Readable, copy: IO[bytes], size: int) -> str:
    """Copy exactly *size* bytes; their sha256. Raises WrongSize, StoreFull."""
    digest, left = hashlib.sha256(), size
    while left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise errors.WrongSize(size, size - left)
        digest.update(chunk)
        left -= len(chunk)
        try:
            copy.write(chunk)
        except OSError as error:
            raise errors.StoreFull from error
    copy.seek(0)
    return digest.hexdigest()


def _place(key: str) -> _Place:
    # Keys come from our own database; this keeps a damaged row from becoming part of an address.
    match = _KEY.fullmatch(key)
    if match is None:
        # Also what was stored before the site set `storage_service_url`.
        raise errors.StoreUnavailable from Trouble("the object is in another store than the site has now")
    return _Place(match[1], match[2], int(match[3]))


def _plain(filename: str) -> str:
    """The name in the characters that giftless keeps."""
    plain = unicodedata.normalize("NFKD", filename).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "_", plain).strip("._")[:200] or "download"


class _Checked:
    """Exactly *size* bytes that hash to *oid*: the last of them are given out once that is known.

    So a server that was promised *size* bytes never gets all of a wrong file.
    """

    def __init__(self, source: Readable, size: int, oid: str):
        self._source, self._size, self._left, self._oid = source, size, size, oid
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._compare()
            return b""
        try:
            chunk = self._source.read(min(size if size > 0 else CHUNK, self._left))
        except OSError as error:
            raise errors.WrongSize(self._size, self._size - self._left) from error
        if not chunk:
            raise errors.WrongSize(self._size, self._size - self._left)
        self._digest.update(chunk)
        self._left -= len(chunk)
        if not self._left:
            self._compare()
        return chunk

    def _compare(self) -> None:
        if self._digest.hexdigest() != self._oid:
            raise errors.ChecksumMismatch(self._oid, self._digest.hexdigest())


class _Download(RemoteFile):
    """A server without ranges is read from the beginning. Ends only at the size that the object has."""

    def __init__(self, begin: Callable[[int], requests.Response], size: int):
        """*begin*: a response whose bytes start where it is told, or, with status 200, at 0."""
        super().__init__(size)
        self._begin = begin
        self._response: requests.Response | None = begin(0)

    def _fetch(self, wanted: int) -> bytes:
        if self._response is None:
            self._response = self._begin(self._position)
            skipped = 0 if self._response.status_code == 206 else self._position
            while skipped:
                skipped -= len(self._read(self._response, min(skipped, CHUNK)))
        return self._read(self._response, wanted)

    @staticmethod
    def _read(response: requests.Response, size: int) -> bytes:
        try:
            chunk = response.raw.read(size)
        except Exception as error:  # urllib3's own tree, and the socket's
            raise errors.StoreUnavailable from Trouble(f"download: {type(error).__name__}")
        if not chunk:
            raise errors.StoreUnavailable from Trouble("a download ended early")
        return chunk

    def _forget(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None
