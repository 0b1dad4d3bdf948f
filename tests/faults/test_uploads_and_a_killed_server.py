"""kill -9 of a real server while files come in: each arrives, or its upload ends; nothing else is left."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ckanext.external_storage import model
from ckanext.external_storage.storage import s3
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import dead_keys, hashing, standing, sweeping, verifying
from tests.conftest import SANDBOX
from tests.external_storage import standalone
from tests.faults.lfs_server import Sender, Server
from tests.portal import Portal, editor_and_dataset, oid_of
from tests.portal import standing as standing_portal
from tests.s3 import OPTION, make_bucket, remove_bucket

SIDE_BY_SIDE = 2
#: Requests that an upload needs at least.
REQUESTS = 4
LARGEST = 3 << 20
#: More than one part of the S3 store.
TWO_PARTS = (16 << 20) + 12345


@dataclass
class Scene:
    """A dataset, a store that has nothing else, and servers. ``keys``: of all that is in the store."""

    portal: Portal
    engine: sa.Engine
    store: ObjectStore
    keys: Callable[[], set[str]]
    server: Server
    chance: random.Random
    size: Callable[[random.Random], int]
    started: list[Sender] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.editor, self.dataset = editor_and_dataset()

    def sender(self, token: str) -> Sender:
        size = self.size(self.chance)
        pieces = self.chance.randint(size // 4 + 1, size)
        sender = Sender(
            self.server.address, self.dataset, token, self.chance.randbytes(size), pieces,
            self.engine, self.store,
        )  # fmt: skip
        self.started.append(sender)
        return sender

    def round(self, at_once: bool) -> int:
        """Some uploads, and one kill among them (*at_once*: after the first request); how many were not
        finished then."""
        token = self.portal.write_token(self.editor, self.dataset)
        senders = [self.sender(token) for _ in range(SIDE_BY_SIDE)]
        moment = 1 if at_once else self.chance.randint(1, SIDE_BY_SIDE * REQUESTS)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            going = [pool.submit(sender.bring) for sender in senders]
            while sum(sender.sent for sender in senders) < moment and not all(f.done() for f in going):
                time.sleep(0.002)
            if not at_once:
                time.sleep(self.chance.uniform(0, 0.03))
            self.server.kill()
            unfinished = sum(not future.done() for future in going)
            if self.chance.random() < 0.25:  # a user who does not come back
                senders[0].stopped = True
            self.server.start()
            for sender, future in zip(senders, going, strict=True):
                shown = future.result()
                assert sender.stopped or (shown and shown["oid"] == oid_of(sender.data))
        return unfinished

    def sweep(self, later: timedelta) -> None:
        mine = {sender.upload for sender in self.started}

        def check(upload_id: str, size: int) -> None:
            if upload_id in mine:
                hashing.check(self.engine, self.store, upload_id)

        with self.engine.connect() as connection:
            now = standing.database_now(connection)
        sweeping.sweep(self.engine, self.store, now + later, check)

    def assert_all_or_nothing(self) -> Counter[str]:
        """After the sweeper's work of days: what is there is known, whole and linked; how uploads ended."""
        for hours in (0, 25, 26):
            self.sweep(timedelta(hours=hours))
        self.sweep(timedelta(hours=27) + dead_keys.SECOND_DELETE)
        mine = verifying.Which(package_id=self.dataset["id"])
        assert {found.what for found in verifying.check(self.engine, self.store, mine)} <= {"well"}
        o, link, u = model.object.c, model.link.c, model.upload.c
        with self.engine.connect() as connection:
            linked = sa.select(link.oid, o.key).outerjoin(model.object, o.oid == link.oid)
            linked = linked.where(link.package_id == self.dataset["id"])
            rows = {row.oid: row.key for row in connection.execute(linked)}
            states = sa.select(u.state).where(u.package_id == self.dataset["id"])
            ended = Counter(connection.execute(states).scalars())
        assert set(rows.values()) == self.keys(), "the store has what the tables have"
        assert {oid_of(sender.data) for sender in self.started if not sender.stopped} <= set(rows)
        assert set(ended) <= {"verified", "expired"}
        assert ended["verified"] == len(rows)
        return ended


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def make_scene(
    request: pytest.FixtureRequest, portal: Portal, engine: sa.Engine, chance: random.Random, tmp_path: Path
) -> Iterator[Callable[..., Scene]]:
    servers: list[Server] = []

    def make(store: ObjectStore, keys: Any, size: Any, options: dict[str, str]) -> Scene:
        box = request.config.stash[SANDBOX]
        server = Server(standalone.write_ini(box, tmp_path / "lfs.ini", **options))
        servers.append(server)
        return Scene(portal, engine, store, keys, server, chance, size)

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def local_scene(make_scene: Callable[..., Scene], tmp_path: Path) -> Scene:
    root = tmp_path / "store"
    root.mkdir()

    def keys() -> set[str]:
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    options = {OPTION + "store": "local", OPTION + "local.path": str(root)}
    return make_scene(LocalStore(root), keys, lambda chance: chance.randint(1 << 18, LARGEST), options)


@pytest.fixture
def s3_scene(make_scene: Callable[..., Scene], s3_client: Any, s3_options: dict[str, str]) -> Iterator[Scene]:
    bucket = make_bucket(s3_client)
    options = {**s3_options, OPTION + "s3.bucket": bucket}

    def keys() -> set[str]:
        assert not s3_client.list_multipart_uploads(Bucket=bucket).get("Uploads")
        pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {item["Key"].removeprefix("portal/") for page in pages for item in page.get("Contents", [])}

    def size(chance: random.Random) -> int:
        return TWO_PARTS if chance.random() < 0.25 else chance.randint(1, LARGEST)

    yield make_scene(s3.from_options(options), keys, size, options)
    remove_bucket(s3_client, bucket)


def kill_again_and_again(scene: Scene, number: int, record_property: Any) -> None:
    # The first at once: a machine may finish what is begun before it comes to the kill.
    unfinished = sum(scene.round(at_once=not turn) for turn in range(number // SIDE_BY_SIDE))
    assert unfinished, "nothing was under way when the server was killed: nothing was tested"
    record_property("unfinished when the server was killed", unfinished)
    record_property("requests to be made again", sum(sender.failed for sender in scene.started))
    record_property("ended", dict(scene.assert_all_or_nothing()))
    log = scene.server.log.read_text()
    assert "Traceback" not in log, log


@pytest.mark.proof(uploads=(2, 100))
def test_uploads_in_pieces_through_a_server_killed_at_any_moment(
    counts: Any, local_scene: Scene, record_property: Any
):
    kill_again_and_again(local_scene, counts["uploads"], record_property)


@pytest.mark.proof(uploads=(2, 100))
def test_uploads_in_parts_to_the_store_beside_a_server_killed_at_any_moment(
    counts: Any, s3_scene: Scene, record_property: Any
):
    kill_again_and_again(s3_scene, counts["uploads"], record_property)
