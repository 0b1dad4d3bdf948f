"""Objects as files below one directory."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Appended, Readable, Stat, check_key, read_from
from ckanext.external_storage.storage.growing_file import PIECE, GrowingFile
from ckanext.external_storage.storage.part_file import PartFile


def from_options(options: Mapping[str, Any]) -> LocalStore:
    """Raises StoreNotConfigured; touches no file."""
    path = options.get("ckanext.external_storage.local.path")
    if not path:
        raise errors.StoreNotConfigured("Set ckanext.external_storage.local.path to a directory.")
    return LocalStore(Path(path))


class LocalStore:
    """`base.AppendingStore` on a POSIX file system.

    ``unfinished/`` (written in one go), ``parts/`` (appended to) and ``objects/`` share the root so that the
    final rename stays on one file system and is atomic. No file is changed after the rename.
    hashing_seconds: how long `append` may still hash after the last byte.
    """

    def __init__(self, root: Path, hashing_seconds: float = 10):
        self.root = root
        self._hashing_seconds = hashing_seconds

    def put(self, key: str, source: Readable, size: int, oid: str | None) -> str:
        target = self._path(key)
        with _store_errors():
            unfinished = self.root / "unfinished" / str(uuid.uuid4())
            self._make_directories(unfinished.parent)
            try:
                sha256 = self._write(unfinished, source, size, oid)
                self._make_directories(target.parent)
                unfinished.replace(target)
                _sync_directory(target.parent)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        return sha256

    @staticmethod
    def _write(path: Path, source: Readable, size: int, oid: str | None) -> str:
        with open(path, "x+b", buffering=0) as file, GrowingFile(file) as growing:
            while left := size - growing.size:
                piece = read_from(source, min(PIECE, left), size, left)
                if not piece:
                    raise errors.WrongSize(size, growing.size)
                growing.write(piece)
            growing.sync()
            sha256 = growing.sha256()
        if sha256 is None:
            raise OSError(errno.EIO, "What was written cannot be read back.", str(path))
        if oid is not None and oid != sha256:
            raise errors.ChecksumMismatch(oid, sha256)
        return sha256

    def open(self, key: str) -> IO[bytes]:
        with _store_errors():
            return open(self._path(key), "rb")

    def stat(self, key: str) -> Stat | None:
        with _store_errors():
            try:
                found = self._path(key).stat()
            except FileNotFoundError:
                return None
        return Stat(found.st_size, f"{found.st_mtime_ns:x}-{found.st_size:x}")

    def delete(self, key: str) -> None:
        with _store_errors():
            self._part(key).delete()
            self._path(key).unlink(missing_ok=True)

    def delete_unfinished(self, older_than: datetime) -> int:
        deleted = 0
        with _store_errors():
            for path in (self.root / "unfinished").glob("*"):
                with contextlib.suppress(FileNotFoundError):  # finished meanwhile
                    if path.stat().st_mtime < older_than.timestamp():
                        path.unlink()
                        deleted += 1
        return deleted

    def offset(self, key: str) -> int:
        with _store_errors():
            size = self._part(key).size()
        if size is None:  # nothing has come, or all: it may be the object already
            found = self.stat(key)
            size = found.size if found else 0
        return size

    def append(self, key: str, offset: int, source: Readable, length: int, size: int) -> Appended:
        part = self._part(key)
        if (here := self.offset(key)) != offset:  # before a file is made for what is an object already
            raise errors.WrongOffset(here)
        with _store_errors():
            self._make_directories(part.path.parent)
            return part.append(offset, source, min(length, size - offset), size)

    def seal(self, key: str, size: int, sha256: str) -> None:
        target, part = self._path(key), self._part(key)
        with _store_errors():
            here = part.size()
            if here is None:
                found = self.stat(key)
                if found is None or found.size != size:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(part.path))
                return  # done before
            if here != size:
                raise errors.WrongSize(size, here)
            self._make_directories(target.parent)
            part.path.replace(target)
            part.delete()
            _sync_directory(target.parent)

    def open_unsealed(self, key: str) -> IO[bytes]:
        with _store_errors():
            try:
                return open(self._part(key).path, "rb")
            except FileNotFoundError:  # sealed already
                return open(self._path(key), "rb")

    def _part(self, key: str) -> PartFile:
        return PartFile(self.root / "parts" / self._path(key).name, self._hashing_seconds)

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _make_directories(self, path: Path) -> None:
        """Create *path* so that it survives a power cut: a new directory counts once its parent is synced."""
        if path.is_dir():
            return
        self._make_directories(path.parent)
        # Private files are in it: the root is for CKAN and its group, in which a web server may be.
        path.mkdir(0o750 if path == self.root else 0o777, exist_ok=True)
        _sync_directory(path.parent)


@contextlib.contextmanager
def _store_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise errors.StoreFull from error
        raise errors.StoreUnavailable from error


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
