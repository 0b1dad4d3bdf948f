"""The files of CKAN's own FileStore: one for each resource, at a place that follows from the resource's id.

A file there is overwritten by the next one, so what is known of it is a *mark*: its size and when it was
last written. As long as both are the same, so are the bytes. Nothing here writes or removes a file.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import ckantoolkit as tk
from ckan.lib import uploader

try:
    from ckan.lib.files import exc
    from ckan.lib.files.default.fs import FsStorage

    LocationError = exc.LocationError
except ImportError:  # before CKAN 2.12, which may keep files in storages of file-keeper
    FsStorage = None
    LocationError = tk.ValidationError


@dataclass(frozen=True)
class Mark:
    """``size`` in bytes, ``mtime_ns`` in nanoseconds since 1970."""

    size: int
    mtime_ns: int


def mark(resource_id: str) -> Mark | None:
    """The mark of the resource's file as it is now; None if there is none that could be read."""
    path = _path(resource_id)
    try:
        return _mark(os.stat(path)) if path else None
    except OSError:
        return None


def open_marked(resource_id: str, expected: Mark) -> IO[bytes] | None:
    """The resource's file, opened for reading, if it still has this mark; else None.

    CKAN puts a new file into the place of an old one, which stays readable for whoever has opened it.
    """
    path = _path(resource_id)
    if path is None:
        return None
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    except OSError:
        return None
    if has_mark(file, expected):
        return file
    file.close()
    return None


def has_mark(file: IO[bytes], expected: Mark) -> bool:
    """Has nobody written to the opened file since it was marked?"""
    return _mark(os.fstat(file.fileno())) == expected


def _mark(found: os.stat_result) -> Mark | None:
    return Mark(found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _path(resource_id: str) -> Path | None:
    """Where core's uploader keeps the file; None if that is not on a disk, or no place for this id."""
    try:
        upload: Any = uploader.get_resource_uploader({"id": resource_id, "url": "", "url_type": "upload"})
        if type(upload) is uploader.ResourceUpload:
            return Path(upload.get_path(resource_id)) if upload.storage_path else None
        if FsStorage and isinstance(getattr(upload, "storage", None), FsStorage):
            return Path(upload.storage.full_path(upload.get_path(resource_id)))
    except (OSError, ValueError, tk.ValidationError, LocationError):  # no directory, or no place in it
        return None
    return None
