"""What recording adds to a save, counted in SQL statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ckan import plugins
from ckan.tests import factories

from tests.statements import statements
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

#: Of a save that makes a revision: lock, dataset, head, states, user, bodies, revision, ended and new states.
STATEMENTS = 9


def added(action: Callable[[int], None]) -> int:
    """Statements that recording adds to *action*, which is called with 0, 1, 2 to do three like things."""
    action(0)  # fills caches
    with statements() as recording:
        action(1)
    plugins.unload("versioning")
    try:
        with statements() as plain:
            action(2)
    finally:
        plugins.load("versioning")
    return len(recording) - len(plain)


@pytest.mark.parametrize("count", [1, 40])
def test_a_change_of_the_dataset(count: int):
    dataset = factories.Dataset(resources=[{"url": f"http://x/{n}"} for n in range(count)])
    cost = added(lambda turn: call("package_patch", id=dataset["id"], title=f"title {turn}"))
    assert cost <= STATEMENTS - 2  # no state ends or begins
    assert len(recorded.revisions(dataset["id"])) == 3


@pytest.mark.parametrize("count", [1, 40])
def test_a_change_of_every_resource(count: int):
    dataset: Any = factories.Dataset(resources=[{"url": f"http://x/{n}"} for n in range(count)])

    def change(turn: int) -> None:
        resources = [{**r, "name": f"{turn}"} for r in dataset["resources"]]
        call("package_patch", id=dataset["id"], resources=resources)

    assert added(change) <= STATEMENTS
    head = recorded.newest(dataset["id"])
    assert len(head.summary["resources"]["metadata"]) == count


def test_a_save_that_changes_nothing_and_is_not_even_committed():
    dataset = factories.Dataset()
    assert added(lambda turn: call("package_patch", id=dataset["id"], title=dataset["title"])) == 0


def test_a_save_of_something_else():
    group = factories.Group()
    assert added(lambda turn: call("group_patch", id=group["id"], title=f"title {turn}")) == 0
