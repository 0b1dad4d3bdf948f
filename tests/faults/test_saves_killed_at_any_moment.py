"""kill -9 while datasets are saved: a save and its revision are there together, or neither is."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from typing import Any

import pytest
from ckan.tests import factories

from tests.faults.dataset_history import assert_head_is_the_dataset, current
from tests.faults.victims import Nursery
from tests.versioning import recorded


def save_twice(dataset: dict[str, Any], number: int) -> None:
    """What a victim does: two saves of different kinds, each of which leaves its number."""
    from ckan.plugins import toolkit as tk

    def call(action: str, **data: Any) -> None:
        tk.get_action(action)({"ignore_auth": True, "user": ""}, data)

    call("package_patch", id=dataset["id"], version=str(number))
    if number % 4:
        call("resource_patch", id=dataset["resources"][0]["id"], description="changed", save=str(number + 1))
    else:
        call("resource_create", package_id=dataset["id"], url="http://example.org", save=str(number + 1))


def saves_done(dataset_id: str) -> int:
    """The number that the last committed save left in the dataset; 0 before the first."""
    found = current(dataset_id)
    left = [found["version"], *(resource.get("save") for resource in found["resources"])]
    return max(int(number or 0) for number in left)


@pytest.mark.proof(rounds=(5, 200))
def test_saves_killed_at_any_moment_leave_the_dataset_and_its_head_equal(
    with_plugins, counts, chance: random.Random, nursery: Nursery, record_property
):
    dataset = factories.Dataset(resources=[{"url": "http://example.org/a.csv"}])
    usual = statistics.median(
        nursery.seconds(save_twice, dataset, saves_done(dataset["id"]) + 1) for _ in range(3)
    )
    found: Counter[str] = Counter()
    for turn in range(counts["rounds"]):
        before = saves_done(dataset["id"])
        victim = nursery.start(save_twice, dataset, before + 1)
        # The first at once: a machine whose load changes may let all the others finish.
        time.sleep(chance.uniform(0, usual) if turn else 0)
        victim.kill()
        killed = victim.end().killed
        after = saves_done(dataset["id"])
        # One revision when the dataset was made, and one for each save that is there.
        assert [row.seq for row in recorded.revisions(dataset["id"])] == list(range(1, after + 2))
        assert_head_is_the_dataset(dataset["id"])
        found[f"killed after save {after - before}" if killed else "finished"] += 1
    assert found.total() > found["finished"], "no victim was killed in time: nothing was tested"
    recorded.assert_chain_holds(dataset["id"])
    record_property("killed when", dict(found))
