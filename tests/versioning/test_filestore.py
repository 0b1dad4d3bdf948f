"""Where CKAN's own FileStore has a resource's file, whichever way CKAN keeps files on disk."""

from __future__ import annotations

import io
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ckan.lib import uploader
from werkzeug.datastructures import FileStorage

from ckanext.versioning import filestore


@pytest.fixture(params=["storage_path", "file-keeper"])
def kept_in(request: Any, ckan_config: Any, monkeypatch: Any, tmp_path: Path) -> Iterator[Path]:
    """The directory in which core's uploader keeps files."""
    if request.param == "storage_path":
        monkeypatch.setitem(ckan_config, "ckan.storage_path", str(tmp_path))
        yield tmp_path / "resources"
        return
    files = pytest.importorskip("ckan.lib.files", reason="before CKAN 2.12 there is one way")
    options = {"type": "ckan:fs", "path": str(tmp_path), "overwrite_existing": True}
    for name, value in options.items():
        monkeypatch.setitem(ckan_config, f"ckan.files.storage.resources.{name}", value)
    files.storages.reset()
    files.storages.collect()
    yield tmp_path
    files.storages.reset()


def upload(id: str, data: bytes) -> None:
    given = {"url": "", "upload": FileStorage(io.BytesIO(data), "a.csv")}
    uploader.get_resource_uploader(given).upload(id)


def test_a_file_is_known_by_its_mark(kept_in: Path):
    id = str(uuid.uuid4())
    assert filestore.mark(id) is None
    upload(id, b"first")
    path = kept_in / id[:3] / id[3:6] / id[6:]
    first = filestore.mark(id)
    assert first == filestore.Mark(5, path.stat().st_mtime_ns)

    file = filestore.open_marked(id, first)
    assert file
    with file:
        assert file.read() == b"first"
        assert filestore.has_mark(file, first)
        os.utime(path, ns=(0, first.mtime_ns + 1))  # what writing to it would do
        assert not filestore.has_mark(file, first)
    assert filestore.open_marked(id, first) is None
    path.unlink()
    assert (filestore.mark(id), filestore.open_marked(id, first)) == (None, None)


@pytest.mark.parametrize("id", ["../../../outside", "/etc/passwd", "short", "", "a\0b-and-more", "x" * 300])
def test_an_id_never_leads_elsewhere(kept_in: Path, id: str):
    kept_in.parent.joinpath("outside").write_bytes(b"secret")
    assert filestore.mark(id) is None
    assert filestore.open_marked(id, filestore.Mark(6, 0)) is None


def test_without_a_place_for_files_there_are_none(ckan_config: Any, monkeypatch: Any):
    monkeypatch.setitem(ckan_config, "ckan.storage_path", None)
    assert filestore.mark(str(uuid.uuid4())) is None
