"""kill -9 while bytes come in: what is visible is whole, a second attempt succeeds, nothing is left over."""

from __future__ import annotations

import hashlib
import io
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ckanext.external_storage import model
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import (
    beginning,
    dead_keys,
    finishing,
    hashing,
    receiving,
    standing,
    sweeping,
    uploads,
)
from tests.bare_dataset import make_dataset
from tests.faults.victims import Nursery

#: More than one chunk of the store, and not always whole ones.
LARGEST = 3 << 20


def content(seed: int) -> bytes:
    """The same bytes in each process."""
    chance = random.Random(seed)
    return chance.randbytes(chance.randint(1, LARGEST))


def receive(root: Path, upload: uploads.Upload, seed: int) -> None:
    """What a victim does."""
    from ckan.model import meta

    assert meta.engine
    source = io.BytesIO(content(seed))
    receiving.receive(meta.engine, LocalStore(root), upload, source, datetime.now(timezone.utc))


def send_in_pieces(root: Path, upload_id: str, seed: int, piece: int) -> None:
    """What a victim does that brings a file by tus: go on from where the one before it was killed."""
    from ckan.model import meta

    assert meta.engine
    engine, store, data = meta.engine, LocalStore(root), content(seed)
    while True:
        with engine.connect() as connection:
            upload = uploads.get(connection, upload_id)
        if upload.state == "verified":
            return
        if upload.state == "received":
            hashing.check(engine, store, upload_id)
        elif (offset := store.offset(upload.key)) == upload.size:
            finishing.complete(engine, store, upload, no_job)
        else:
            sent = data[offset : offset + piece]
            finishing.append(engine, store, upload, offset, io.BytesIO(sent), len(sent), no_job)


def no_job(upload_id: str, size: int) -> None:
    """The victim is its own worker."""


@dataclass
class Scene:
    """One store, and one dataset into which everything is uploaded."""

    engine: sa.Engine
    root: Path
    dataset: str = field(init=False)

    def __post_init__(self) -> None:
        self.dataset = make_dataset(self.engine)

    def begin(self, seed: int) -> uploads.Upload:
        data = content(seed)
        oid = hashlib.sha256(data).hexdigest()
        with self.engine.begin() as connection:
            now = datetime.now(timezone.utc)
            return uploads.open_uploads(connection, "ann", self.dataset, {oid: len(data)}, now)[oid]

    def objects(self) -> dict[str, Any]:
        """The rows of the objects that the dataset has, by key."""
        o = model.object
        query = sa.select(o).join(model.link, model.link.c.oid == o.c.oid)
        with self.engine.connect() as connection:
            rows = connection.execute(query.where(model.link.c.package_id == self.dataset)).all()
        return {row.key: row for row in rows}

    def row(self, oid: str) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(sa.select(model.object).where(model.object.c.oid == oid)).first()

    def visible(self) -> Iterator[str]:
        """Keys of the files that are in place."""
        for path in (self.root / "objects").rglob("*"):
            if path.is_file():
                yield path.relative_to(self.root).as_posix()

    def unfinished(self) -> list[Path]:
        return list((self.root / "unfinished").glob("*"))

    def assert_whole(self, key: str) -> None:
        with LocalStore(self.root).open(key) as file:
            assert hashlib.sha256(file.read()).hexdigest() == Path(key).name.partition(".")[0]


@pytest.mark.proof(rounds=(5, 200))
def test_an_upload_killed_at_any_moment_leaves_all_or_nothing(
    counts, chance: random.Random, engine: sa.Engine, nursery: Nursery, tmp_path: Path, record_property
):
    scene = Scene(engine, tmp_path)
    usual = statistics.median(
        nursery.seconds(receive, tmp_path, scene.begin(seed), seed) for seed in chance.sample(range(2**32), 5)
    )
    found: Counter[str] = Counter()
    for turn, seed in enumerate(chance.sample(range(2**32), counts["rounds"])):
        upload = scene.begin(seed)
        before, unfinished = set(scene.visible()), set(scene.unfinished())
        victim = nursery.start(receive, tmp_path, upload, seed)
        # The first at once: a machine whose load changes may let all the others finish.
        time.sleep(chance.uniform(0, usual) if turn else 0)
        victim.kill()
        killed = victim.end().killed
        row = scene.row(upload.oid)
        arrived, begun = set(scene.visible()) - before, set(scene.unfinished()) - unfinished
        assert arrived <= {upload.key}
        for key in arrived:
            scene.assert_whole(key)
        if row is not None:
            assert (row.key, row.size) == (upload.key, upload.size)
            assert arrived == {upload.key}
        assert (row is not None) == (upload.key in scene.objects()), "object and link, or neither"
        found[_stage(killed, row, arrived, begun)] += 1
        if chance.random() < 0.5:  # the client comes back
            again = scene.begin(seed)
            assert (again.id == upload.id) == (row is None)
            receive(tmp_path, again, seed)
            assert scene.row(upload.oid)
    assert found.total() > found["finished"], "no victim was killed in time: nothing was tested"
    record_property("killed when", dict(found))

    store, later = LocalStore(tmp_path), datetime.now(timezone.utc) + uploads.LIFETIME + timedelta(hours=1)
    sweeping.sweep(engine, store, later)
    kept = scene.objects()
    assert set(scene.visible()) == set(kept)
    assert scene.unfinished() == []
    for key, row in kept.items():
        scene.assert_whole(key)
        assert (tmp_path / key).stat().st_size == row.size
    sweeping.sweep(engine, store, later + dead_keys.SECOND_DELETE)
    assert set(scene.visible()) == set(kept)


@pytest.mark.proof(rounds=(3, 200))
def test_an_upload_in_pieces_killed_at_any_moment_goes_on(
    counts, chance: random.Random, engine: sa.Engine, nursery: Nursery, tmp_path: Path, record_property
):
    scene, kills = Scene(engine, tmp_path), 0
    for seed in chance.sample(range(2**32), counts["rounds"]):
        data, piece = content(seed), chance.randint(1 << 18, LARGEST)
        oid = hashlib.sha256(data).hexdigest()
        with engine.begin() as connection:
            now = standing.database_now(connection)
            upload, _ = beginning.begin(
                connection, LocalStore(tmp_path), "ann", scene.dataset, None, len(data), now,
                oid=chance.choice([oid, None]),
            )  # fmt: skip
        before = 0
        for _ in range(chance.randint(1, 3)):
            victim = nursery.start(send_in_pieces, tmp_path, upload.id, seed, piece)
            time.sleep(chance.uniform(0, 0.2))
            victim.kill()
            kills += victim.end().killed
            offset = LocalStore(tmp_path).offset(upload.key)
            assert offset >= before, "what had arrived is still there"
            before = offset
            with engine.begin() as connection:  # nobody waits for the lease of the dead
                mine = model.upload.update().where(model.upload.c.id == upload.id)
                connection.execute(mine.values(lease_until=None, attempts=0))
        send_in_pieces(tmp_path, upload.id, seed, piece)
        row = scene.objects()[upload.key]
        assert (row.oid, row.size) == (oid, len(data))
        with LocalStore(tmp_path).open(upload.key) as file:
            assert file.read() == data
    record_property("killed", kills)
    assert list((tmp_path / "parts").glob("*")) == []


def _stage(killed: bool, row: Any, arrived: set[str], begun: set[Path]) -> str:
    if not killed:
        return "finished"
    if row is not None:
        return "committed"
    if arrived:
        return "file in place, not committed"
    return "writing the file" if begun else "before the first byte"
