"""The histories of many old datasets are begun while people save them, and what begins them is killed."""

from __future__ import annotations

import random
import time
import uuid
from typing import Any

import pytest
from ckan import model, plugins

from ckanext.versioning import catching_up, verifying
from tests.faults.victims import Nursery
from tests.versioning import recorded


def backfill() -> None:
    for _ in catching_up.backfill():
        pass


def save(ids: list[str]) -> None:
    from ckan.plugins import toolkit as tk

    for id in ids:
        tk.get_action("package_patch")({"ignore_auth": True, "user": ""}, {"id": id, "title": "After"})


def old_datasets(number: int, resources: int) -> list[str]:
    """Ids of new datasets, made while the plugin was off, without what takes CKAN its time."""
    plugins.unload("versioning")
    try:
        made = [model.Package(name=f"old-{uuid.uuid4()}", title="Before") for _ in range(number)]
        for package in made:
            package.resources_all.extend(model.Resource(url=f"http://x/{n}") for n in range(resources))
        model.Session.add_all(made)
        model.Session.commit()
        return [package.id for package in made]
    finally:
        plugins.load("versioning")


@pytest.mark.proof(datasets=(60, 5000), saves=(6, 500), writers=(2, 4), kills=(2, 20))
def test_a_backfill_that_is_killed_again_and_again_beside_saves(
    with_plugins, counts, chance: random.Random, nursery: Nursery, record_property
):
    backfill()  # of what other tests left
    ids = old_datasets(counts["datasets"], resources=2)
    saved = chance.sample(ids, counts["saves"])
    writers = [nursery.start(save, saved[number :: counts["writers"]]) for number in range(counts["writers"])]
    found = []
    for turn in range(counts["kills"]):
        victim = nursery.start(backfill)
        time.sleep(chance.uniform(0, 0.5) if turn else 0)
        victim.kill()
        if victim.end().killed:
            found.append(len(ids) - catching_up.without_history())
        model.Session.remove()
    finished = nursery.start(backfill)
    for victim in (*writers, finished):
        victim.end()
    assert found, "no backfill was killed in time: nothing was tested"
    backfill()  # of what was being saved all the time

    assert _histories(ids) == {
        id: [("baseline", "Before"), ("web", "After")] if id in saved else [("baseline", "Before")]
        for id in ids
    }
    with nursery.engine.connect() as connection:
        for id in ids:
            assert list(verifying.history_findings(connection, id)) == []
    record_property("datasets with history when killed", found)


def _histories(ids: list[str]) -> dict[str, Any]:
    """Origin and title of each revision, oldest first."""
    return {
        id: [(row.origin, recorded.text(id, row.meta_sha)["title"]) for row in recorded.revisions(id)]
        for id in ids
    }
