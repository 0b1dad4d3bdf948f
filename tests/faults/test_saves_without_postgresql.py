"""PostgreSQL goes away under those who save: whoever tries again is done, and each save is one revision."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from services import ini
from services.checkout import ROOT, write_private
from tests.conftest import SANDBOX
from tests.faults.dataset_history import assert_history_is_the_datasets
from tests.faults.own_postgresql import Server
from tests.faults.victims import APPLICATION_NAME, Nursery
from tests.versioning import recorded

#: To each dataset. They begin with as many resources, one for each.
WRITERS = 2


def create() -> dict[str, Any]:
    from ckan.plugins import toolkit as tk

    resources = [{"url": f"http://example.org/{n}.csv"} for n in range(WRITERS)]
    data = {"name": f"d-{uuid.uuid4()}", "resources": resources}
    return tk.get_action("package_create")({"ignore_auth": True, "user": ""}, data)


def save(resource_id: str, saves: int, label: str = "Saved") -> int:
    """What a writer does, in one process: each save again until it succeeds; how many times one failed."""
    from ckan.plugins import toolkit as tk

    failed = 0
    for number in range(saves):
        while True:
            try:
                context: Any = {"ignore_auth": True, "user": ""}
                text = f"{label} {number}"
                tk.get_action("resource_patch")(context, {"id": resource_id, "description": text})
                break
            except SQLAlchemyError:
                end_request()
                failed += 1
                time.sleep(0.02)
        end_request()
    return failed


def end_request() -> None:
    """As CKAN does. Before SQLAlchemy 2 it is an error if only this finds out that the connection ended."""
    from ckan import model

    try:
        model.Session.remove()
    except SQLAlchemyError:
        model.Session.remove()


def check(dataset_id: str, saves: int) -> None:
    """Each save is one revision: a save that was made and not acknowledged was not made a second time."""
    found = recorded.revisions(dataset_id)
    changed = [row.summary["resources"]["metadata"] for row in found[1:]]
    assert all(len(ids) == 1 for ids in changed)
    assert len(changed) == saves
    assert_history_is_the_datasets(dataset_id)


def follow(
    nursery: Nursery, chance: random.Random, counts: dict[str, int], harm: Callable[[], None], note: Any
) -> None:
    """Let four write while *harm* is done, again and again, at random moments."""
    datasets: list[Any] = [nursery.start(create).end().result for _ in range(2)]
    usual = nursery.seconds(save, datasets[0]["resources"][0]["id"], 1, "The first")
    writers = [
        nursery.start(save, resource["id"], counts["saves"])
        for dataset in datasets
        for resource in dataset["resources"]
    ]
    for _ in range(counts["failures"]):
        time.sleep(chance.uniform(0, 2 * usual))
        harm()
    failed = sum(writer.end().result for writer in writers)
    assert failed, "no save was under way when the database failed: nothing was tested"
    note("saves that failed and were made again", failed)
    for number, dataset in enumerate(datasets):
        nursery.start(check, dataset["id"], counts["saves"] * WRITERS + (number == 0)).end()


@pytest.mark.proof(failures=(6, 200), saves=(4, 100))
def test_connections_end_at_any_moment(
    with_plugins, counts, chance: random.Random, nursery: Nursery, engine: sa.Engine, record_property
):
    # Other test processes have their own database on the same server. Nothing would be noticed of an idle
    # connection that ends: CKAN asks each whether it lives before it uses it.
    query = sa.text(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE :name AND datname = current_database() "
        "AND xact_start IS NOT NULL"
    )

    def end_one() -> None:
        for _ in range(1000):
            with engine.connect() as connection:
                if found := list(connection.execute(query, {"name": f"{APPLICATION_NAME}%"}).scalars()):
                    end = sa.text("SELECT pg_terminate_backend(:pid)")
                    connection.execute(end, {"pid": chance.choice(found)})
                    return
            time.sleep(0.001)

    follow(nursery, chance, counts, end_one, record_property)


@pytest.fixture
def own_server(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[tuple[Server, Nursery]]:
    """A PostgreSQL that nobody else uses, and processes that work with it."""
    box = request.config.stash[SANDBOX]
    with Server.with_tables_of(box.options["sqlalchemy.url"]) as server:
        path = tmp_path / "ckan.ini"
        write_private(path, ini.text({**box.options, "sqlalchemy.url": server.url}, base=ROOT / "test.ini"))
        nursery = Nursery(path, sa.create_engine(server.url, poolclass=sa.pool.NullPool))
        yield server, nursery
        nursery.close()


@pytest.mark.proof(failures=(0, 30), saves=(0, 100))
def test_postgresql_is_restarted_in_the_middle(
    own_server: tuple[Server, Nursery], counts, chance: random.Random, record_property
):
    server, nursery = own_server
    follow(nursery, chance, counts, server.restart_at_once, record_property)
