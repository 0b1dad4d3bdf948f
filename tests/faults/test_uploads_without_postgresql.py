"""PostgreSQL is restarted while files come in: the clients try again, and all of them arrive."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import verifying
from tests.conftest import SANDBOX
from tests.external_storage import standalone
from tests.faults import lfs_server, own_postgresql
from tests.faults.lfs_server import Sender
from tests.portal import Portal, editor_and_dataset, oid_of
from tests.portal import standing as standing_portal
from tests.s3 import OPTION

SIDE_BY_SIDE = 3
#: What the server reads of the site besides uploads.
SITE = ('"user"', "package", '"group"', "authz_service_token")


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.mark.proof(uploads=(0, 90))
def test_postgresql_is_restarted_in_the_middle_of_uploads(
    request: pytest.FixtureRequest,
    portal: Portal,
    counts: Any,
    chance: random.Random,
    tmp_path: Path,
    record_property: Any,
):
    box, failed = request.config.stash[SANDBOX], 0
    (editor, dataset), root = editor_and_dataset(), tmp_path / "store"
    root.mkdir()
    token = portal.write_token(editor, dataset)
    with own_postgresql.Server.with_tables_of(box.options["sqlalchemy.url"], SITE) as database:
        options = {
            "sqlalchemy.url": database.url,
            OPTION + "store": "local",
            OPTION + "local.path": str(root),
        }
        server = lfs_server.Server(standalone.write_ini(box, tmp_path / "lfs.ini", **options))
        engine, store = sa.create_engine(database.url, poolclass=sa.pool.NullPool), LocalStore(root)
        try:
            for turn in range(counts["uploads"] // SIDE_BY_SIDE):
                senders = [
                    Sender(
                        server.address,
                        dataset,
                        token,
                        chance.randbytes(1 << 20),
                        1 << 18,
                        engine,
                        store,
                    )
                    for _ in range(SIDE_BY_SIDE)
                ]
                # The first at once: a machine may finish what is begun before it comes to the restart.
                moment = chance.randint(1, SIDE_BY_SIDE * 5) if turn else 1
                with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                    going = [pool.submit(sender.bring) for sender in senders]
                    while sum(s.sent for s in senders) < moment and not all(f.done() for f in going):
                        time.sleep(0.002)
                    database.restart_at_once()
                    for sender, future in zip(senders, going, strict=True):
                        shown = future.result()
                        assert shown
                        assert shown["oid"] == oid_of(sender.data)
                failed += sum(sender.failed for sender in senders)
        finally:
            server.close()
        found = [checked.what for checked in verifying.check(engine, store, verifying.Which())]
        assert found == ["well"] * (counts["uploads"] // SIDE_BY_SIDE * SIDE_BY_SIDE)
    assert failed, "PostgreSQL was never missed: nothing was tested"
    record_property("requests to be made again", failed)
