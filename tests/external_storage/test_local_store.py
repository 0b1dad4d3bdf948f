from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.storage.local import LocalStore
from tests import small_disk
from tests.conformance.appending_store import AppendingStoreSuite
from tests.conformance.object_store import ObjectStoreSuite, new_key, oid_of

ACCOUNT_THAT_OWNS_NOTHING = 65534


class TestLocalStore(ObjectStoreSuite, AppendingStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        return LocalStore(tmp_path / "objects")


def files_below(path: Path) -> list[Path]:
    return [p for p in path.rglob("*") if p.is_file()]


@pytest.mark.parametrize("source", [b"wrong", b"cut"])
def test_a_refused_body_leaves_no_file_at_all(tmp_path: Path, source: bytes):
    with pytest.raises(errors.StorageError):
        LocalStore(tmp_path).put(new_key(b"right"), io.BytesIO(source), 5, oid_of(b"right"))
    assert files_below(tmp_path) == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path):
    """A file size limit of the process stands for the disk: writing fails in the middle of the file."""
    program = f"""
import errno, io, resource, signal, sys
from pathlib import Path
from ckanext.external_storage import errors
from ckanext.external_storage.storage import local
from tests.conformance.object_store import new_key, oid_of
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
data = bytes(3 << 20)
try:
    local.LocalStore(Path({str(tmp_path)!r})).put(new_key(data), io.BytesIO(data), len(data), oid_of(data))
except errors.StorageError as error:
    sys.exit(f"{{type(error).__name__}} {{error.__cause__.errno == errno.EFBIG}}")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "StoreUnavailable True"
    assert files_below(tmp_path) == []


def test_no_space_left_is_told_apart(tmp_path: Path):
    with small_disk.at(tmp_path, mebibytes=1):
        data = bytes(3 << 20)
        with pytest.raises(errors.StoreFull):
            LocalStore(tmp_path).put(new_key(data), io.BytesIO(data), len(data), oid_of(data))
        assert files_below(tmp_path) == []


def test_an_upload_in_pieces_goes_on_when_the_full_disk_has_space_again(tmp_path: Path):
    with small_disk.at(tmp_path, mebibytes=2):
        (tmp_path / "ballast").write_bytes(bytes(1 << 20))
        data, store = os.urandom(3 << 19), LocalStore(tmp_path)
        key = new_key(data)
        with pytest.raises(errors.StoreFull):
            store.append(key, 0, io.BytesIO(data), len(data), len(data))
        (tmp_path / "ballast").unlink()
        offset = store.offset(key)
        assert 0 < offset < len(data)
        rest = data[offset:]
        assert store.append(key, offset, io.BytesIO(rest), len(rest), len(data)).sha256 == oid_of(data)


def test_what_takes_too_long_to_hash_is_left_to_others(tmp_path: Path):
    data, store = bytes(1 << 20), LocalStore(tmp_path, hashing_seconds=0)
    done = store.append(new_key(data), 0, io.BytesIO(data), len(data), len(data))
    assert done.offset == len(data)
    assert done.sha256 is None


def test_killed_while_appending_what_was_written_stays(tmp_path: Path):
    program = f"""
import sys
from pathlib import Path
from ckanext.external_storage.storage.local import LocalStore
LocalStore(Path({str(tmp_path)!r})).append(sys.argv[1], 0, sys.stdin.buffer, 1 << 30, 1 << 30)
"""
    key = new_key(b"x")
    with subprocess.Popen([sys.executable, "-c", program, key], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(bytes(2 << 20))
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while sum(p.stat().st_size for p in files_below(tmp_path)) < 1 << 20 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    store = LocalStore(tmp_path)
    offset = store.offset(key)
    assert 1 << 20 <= offset <= 2 << 20
    assert store.append(key, offset, io.BytesIO(b"more"), 4, 1 << 30).offset == offset + 4


def test_killed_in_the_middle_nothing_is_visible_and_the_rest_is_swept(tmp_path: Path):
    program = f"""
import sys
from pathlib import Path
from ckanext.external_storage.storage.local import LocalStore
from tests.conformance.object_store import new_key
LocalStore(Path({str(tmp_path)!r})).put(new_key(b"x"), sys.stdin.buffer, 1 << 30, "0" * 64)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.write(bytes(2 << 20))
        process.stdin.flush()
        deadline = time.monotonic() + 20
        while not files_below(tmp_path / "unfinished") and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert len(files_below(tmp_path)) == 1
    assert not (tmp_path / "objects").exists()
    store, now = LocalStore(tmp_path), datetime.now(timezone.utc)
    assert store.delete_unfinished(now - timedelta(hours=1)) == 0, "a write under way is left alone"
    assert store.delete_unfinished(now + timedelta(hours=1)) == 1
    assert files_below(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an account that may not write")
def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path):
    program = f"""
import io, os, sys
from pathlib import Path
from ckanext.external_storage import errors
from ckanext.external_storage.storage.local import LocalStore
from tests.conformance.object_store import new_key, oid_of
os.setuid({ACCOUNT_THAT_OWNS_NOTHING})
try:
    LocalStore(Path({str(tmp_path)!r})).put(new_key(b"x"), io.BytesIO(b"x"), 1, oid_of(b"x"))
except errors.StoreUnavailable as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "Nothing was changed" in done.stderr
