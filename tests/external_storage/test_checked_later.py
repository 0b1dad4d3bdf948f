"""Uploads that wait to be hashed, and those that nobody finishes: jobs, leases, the sweeper."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model

from ckanext.external_storage import errors, model
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import beginning, finishing, hashing, standing, sweeping, uploads
from tests.bare_dataset import make_dataset

HOUR = timedelta(hours=1)


class Scene:
    """A dataset, and a store that leaves all hashing to jobs. ``queue``: uploads that jobs were asked for."""

    def __init__(self, root: Path):
        assert ckan_model.meta.engine
        self.engine = ckan_model.meta.engine
        self.store = LocalStore(root, hashing_seconds=0)
        self.dataset = make_dataset(self.engine)
        self.queue: list[str] = []
        self.data = uuid.uuid4().bytes * 1000

    def begin(self, oid: str | None = None, **more: Any) -> uploads.Upload:
        with self.engine.begin() as connection:
            now = standing.database_now(connection)
            upload, _ = beginning.begin(
                connection, self.store, "ann", self.dataset, None, len(self.data), now, oid=oid, **more
            )
        return upload

    def send(self, upload: uploads.Upload, start: int = 0, stop: int | None = None) -> None:
        piece = self.data[start:stop]
        source, length = io.BytesIO(piece), len(piece)
        finishing.append(self.engine, self.store, upload, start, source, length, self.later)

    def later(self, upload_id: str, size: int) -> None:
        self.queue.append(upload_id)

    def now(self) -> datetime:
        with self.engine.connect() as connection:
            return standing.database_now(connection)

    def sweep(self, later: timedelta = timedelta(0)) -> None:
        sweeping.sweep(self.engine, self.store, self.now() + later, self.later)

    def get(self, upload: uploads.Upload) -> uploads.Upload:
        with self.engine.connect() as connection:
            return uploads.get(connection, upload.id)

    def set(self, upload: uploads.Upload, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(model.upload.update().values(**values).where(model.upload.c.id == upload.id))

    def check(self, upload: uploads.Upload) -> str | None:
        return hashing.check(self.engine, self.store, upload.id)

    def received(self, **more: Any) -> uploads.Upload:
        """One of which all bytes are there."""
        upload = self.begin(**more)
        self.send(upload)
        assert self.get(upload).state == "received"
        return upload


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_job_hashes_what_was_received(scene: Scene):
    upload = scene.received()
    assert scene.queue[-1] == upload.id
    assert scene.store.stat(upload.key) is None, "nothing can be read before"
    assert scene.check(upload) == "verified"
    assert scene.get(upload).verified == hashlib.sha256(scene.data).hexdigest()
    assert scene.get(upload).hashed == len(scene.data)


def test_wrong_bytes_are_rejected_with_the_reason(scene: Scene):
    upload = scene.received(oid="0" * 64)
    assert scene.check(upload) == "rejected"
    assert "sha256" in (scene.get(upload).reason or "")
    with pytest.raises(errors.UploadRejected):
        finishing.complete(scene.engine, scene.store, scene.get(upload), scene.later)
    scene.sweep()
    assert scene.store.offset(upload.key) == 0


def test_one_worker_at_a_time_and_another_when_its_lease_is_over(scene: Scene):
    upload = scene.received()
    scene.set(upload, lease_until=scene.now() + HOUR)
    assert scene.check(upload) == "received"
    scene.queue.clear()
    scene.sweep()
    assert upload.id not in scene.queue, "somebody is at it"
    scene.set(upload, lease_until=scene.now() - HOUR)
    scene.sweep()
    assert upload.id in scene.queue
    assert scene.check(upload) == "verified"


def test_after_five_attempts_it_is_rejected_and_the_log_says_so(scene: Scene, caplog):
    upload = scene.received()
    scene.set(upload, attempts=hashing.ATTEMPTS)
    assert scene.check(upload) == "rejected"
    assert upload.id in caplog.text


def test_a_store_that_cannot_be_read_is_asked_again(scene: Scene, tmp_path: Path):
    upload = scene.received()
    (tmp_path / "parts").rename(tmp_path / "gone")
    with pytest.raises(errors.StoreUnavailable):
        scene.check(upload)
    (tmp_path / "gone").rename(tmp_path / "parts")
    assert scene.check(upload) == "verified"


def test_a_day_without_bytes(scene: Scene):
    """Each byte gives it another day. What turns out to be complete is not thrown away."""
    upload = scene.begin()
    scene.send(upload, 0, 10)
    scene.set(upload, expires_at=scene.now() - HOUR)
    scene.send(upload, 10, 20)
    scene.sweep()
    assert scene.get(upload).state == "open"
    complete = scene.begin()
    scene.store.append(complete.key, 0, io.BytesIO(scene.data), len(scene.data), len(scene.data))
    scene.sweep(timedelta(hours=25))
    assert (scene.get(upload).state, scene.get(complete).state) == ("expired", "received")
    assert complete.id in scene.queue
    assert scene.store.offset(upload.key) == 0
    scene.sweep(timedelta(days=40))
    with pytest.raises(errors.UploadNotFound):
        scene.get(upload)


def test_a_store_that_is_away_keeps_uploads_from_ending(scene: Scene, tmp_path: Path):
    upload = scene.begin()
    scene.send(upload, 0, 10)
    (tmp_path / "parts").rename(tmp_path / "gone")
    (tmp_path / "parts").write_bytes(b"")  # not a directory: the disk is broken
    with pytest.raises(errors.StoreUnavailable):
        scene.sweep(timedelta(hours=25))
    (tmp_path / "parts").unlink()
    (tmp_path / "gone").rename(tmp_path / "parts")
    assert scene.get(upload).state == "open"
    assert scene.store.offset(upload.key) == 10


def test_a_clock_ten_minutes_off_ends_nothing(scene: Scene, monkeypatch):
    """Leases and ends are the database's time: a process with another clock sees what all see."""
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 600)
    upload = scene.begin()
    scene.send(upload, 0, 10)
    scene.set(upload, expires_at=scene.now() + timedelta(minutes=5))
    scene.sweep()
    assert scene.get(upload).state == "open"


def test_the_same_content_by_two_people_is_one_object(scene: Scene):
    first, second = scene.received(), None
    assert scene.check(first) == "verified"
    second = scene.begin()
    scene.send(second)
    assert scene.check(second) == "verified"
    with scene.engine.connect() as connection:
        kept = connection.execute(
            sa.select(model.object.c.key).where(model.object.c.oid == scene.get(first).verified)
        ).scalar_one()
    assert kept == first.key
    assert scene.store.offset(second.key) == 0
