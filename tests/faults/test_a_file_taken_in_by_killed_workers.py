"""kill -9 while a file of CKAN's own FileStore is taken in, and two at once: it ends up whole, and once."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa

from ckanext.external_storage import config
from ckanext.external_storage import model as storage
from ckanext.versioning import model as tables
from ckanext.versioning import taking_in
from tests.faults.victims import Nursery

LARGEST = 3 << 20


class Pinned:
    """A file in CKAN's FileStore, and a state of a resource that pins it."""

    def __init__(self, engine: sa.Engine, chance: random.Random):
        self.engine, self.data = engine, chance.randbytes(chance.randint(1, LARGEST))
        self.package_id, id = str(uuid.uuid4()), str(uuid.uuid4())
        self.path = Path(tk.config["ckan.storage_path"], "resources", id[:3], id[3:6], id[6:])
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(self.data)
        self.oid = hashlib.sha256(self.data).hexdigest()
        mark = {"size": len(self.data), "mtime_ns": self.path.stat().st_mtime_ns}
        row = {"package_id": self.package_id, "resource_id": id, "from_seq": 1, **mark}
        with engine.begin() as connection:
            connection.execute(sa.insert(tables.classic_file), row)

    def noted(self) -> str | None:
        """The sha256 that history knows; where it knows one, the dataset has the bytes."""
        p, o = tables.classic_file, storage.object
        with self.engine.connect() as connection:
            oid = connection.execute(sa.select(p.c.oid).where(p.c.package_id == self.package_id)).scalar_one()
            linked = sa.select(o).join(storage.link).where(storage.link.c.package_id == self.package_id)
            objects = connection.execute(linked).all()
        assert self.path.read_bytes() == self.data
        if oid is not None:
            (found,) = objects
            assert (oid, found.oid, found.size) == (self.oid, self.oid, len(self.data))
            with config.store().open(found.key) as file:
                assert file.read() == self.data
        return oid

    def keys(self) -> list[Path]:
        root = Path(tk.config["ckanext.external_storage.local.path"], "objects")
        return list((root / self.oid[:2] / self.oid[2:4]).glob(f"{self.oid}.*"))


@pytest.mark.usefixtures("with_plugins")
@pytest.mark.proof(rounds=(4, 200))
def test_a_file_taken_in_by_killed_workers_is_there_whole_and_once(
    counts: Any, chance: random.Random, engine: sa.Engine, nursery: Nursery, record_property: Any
):
    usual = statistics.median(
        nursery.seconds(taking_in.take_in, Pinned(engine, chance).package_id) for _ in range(3)
    )
    killed = 0
    for turn in range(counts["rounds"]):
        file = Pinned(engine, chance)
        victim = nursery.start(taking_in.take_in, file.package_id)
        # The first at once: a machine whose load changes may let all the others finish.
        time.sleep(chance.uniform(0, usual) if turn else 0)
        victim.kill()
        killed += victim.end().killed
        waits = file.noted() is None
        assert taking_in.take_in(file.package_id) == ({"taken": 1} if waits else {})
        assert file.noted() == file.oid
        assert len(file.keys()) == 1
    assert killed, "no victim was killed in time: nothing was tested"
    record_property("killed", killed)


@pytest.mark.usefixtures("with_plugins")
def test_a_file_taken_in_by_several_workers_at_once(chance: random.Random, engine: sa.Engine):
    file = Pinned(engine, chance)
    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(taking_in.take_in, [file.package_id] * 3))
    assert {"taken": 1} in outcomes
    assert all(outcome in ({"taken": 1}, {"forgotten": 1}, {}) for outcome in outcomes)
    assert file.noted() == file.oid
    assert len(file.keys()) == 1
