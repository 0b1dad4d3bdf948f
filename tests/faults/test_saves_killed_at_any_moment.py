"""kill -9 while several save datasets: a save and its revision are there together, or neither is."""

from __future__ import annotations

import random
import statistics
import time
from collections import Counter
from typing import Any

import pytest
from ckan.tests import factories

from tests.faults.dataset_history import assert_head_is_the_dataset, assert_history_is_the_datasets, current
from tests.faults.victims import Nursery
from tests.versioning import recorded

#: Two writers for each dataset: where they leave their numbers, beside resources of their own.
FIELDS = ("version", "author")


def save_twice(dataset: dict[str, Any], place: int, number: int) -> None:
    """What a victim does: two saves of different kinds, each of which leaves its number."""
    from ckan.plugins import toolkit as tk

    def call(action: str, **data: Any) -> None:
        tk.get_action(action)({"ignore_auth": True, "user": ""}, data)

    call("package_patch", id=dataset["id"], **{FIELDS[place]: str(number)})
    left = {"writer": str(place), "save": str(number + 1)}
    if number % 4:
        call("resource_patch", id=dataset["resources"][place]["id"], description="changed", **left)
    else:
        call("resource_create", package_id=dataset["id"], url="http://example.org", **left)


def saves_done(dataset_id: str) -> list[int]:
    """For each writer the number that its last committed save left in the dataset; 0 before the first."""
    found = current(dataset_id)

    def last(place: int) -> int:
        left = [r.get("save") for r in found["resources"] if r.get("writer") == str(place)]
        return max(int(number or 0) for number in [found[FIELDS[place]], *left])

    return [last(place) for place in range(len(FIELDS))]


@pytest.mark.proof(rounds=(3, 250), datasets=(2, 2))
def test_saves_killed_at_any_moment_leave_datasets_and_their_heads_equal(
    with_plugins, counts, chance: random.Random, nursery: Nursery, record_property
):
    resources = [{"url": f"http://example.org/{place}.csv"} for place in range(len(FIELDS))]
    datasets: list[Any] = [factories.Dataset(resources=resources) for _ in range(counts["datasets"])]
    usual = statistics.median(
        nursery.seconds(save_twice, dataset, 0, saves_done(dataset["id"])[0] + 1) for dataset in datasets
    )
    usual *= len(datasets)  # they share the cores
    found: Counter[str] = Counter()
    for turn in range(counts["rounds"]):
        before = {dataset["id"]: saves_done(dataset["id"]) for dataset in datasets}
        victims = [
            (dataset["id"], place, nursery.start(save_twice, dataset, place, done + 1))
            for dataset in datasets
            for place, done in enumerate(before[dataset["id"]])
        ]
        chance.shuffle(victims)
        for *_who, victim in victims:
            # The first at once: a machine whose load changes may let all the others finish.
            time.sleep(chance.uniform(0, 2 * usual / len(victims)) if turn else 0)
            victim.kill()
        killed = {(dataset_id, place): victim.end().killed for dataset_id, place, victim in victims}
        for dataset in datasets:
            after = saves_done(dataset["id"])
            # One revision when the dataset was made, and one for each save that is there.
            assert [row.seq for row in recorded.revisions(dataset["id"])] == list(range(1, sum(after) + 2))
            assert_head_is_the_dataset(dataset["id"])
            for place, (was, now) in enumerate(zip(before[dataset["id"]], after, strict=True)):
                ended = killed[dataset["id"], place]
                found[f"killed after save {now - was}" if ended else "finished"] += 1
    assert found.total() > found["finished"], "no victim was killed in time: nothing was tested"
    for dataset in datasets:
        assert_history_is_the_datasets(dataset["id"])
    record_property("killed when", dict(found))
