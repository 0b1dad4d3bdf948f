"""Processes that save one dataset at the same time: each real change is one revision, in one chain."""

from __future__ import annotations

import fcntl
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ckan.tests import factories

from tests.faults.dataset_history import assert_head_is_the_dataset, assert_history_is_the_datasets
from tests.faults.victims import Nursery
from tests.versioning import recorded


def _call(action: str, **data: Any) -> None:
    from ckan.plugins import toolkit as tk

    tk.get_action(action)({"ignore_auth": True, "user": ""}, data)


def _patch(dataset: dict[str, Any], text: str) -> None:
    _call("package_patch", id=dataset["id"], title=text)


def _overwrite(dataset: dict[str, Any], text: str) -> None:
    """With the dataset as it was before the round: what others saved meanwhile is lost, but recorded."""
    _call("package_update", **{**dataset, "notes": text})


def _revise(dataset: dict[str, Any], text: str) -> None:
    _call("package_revise", match={"id": dataset["id"]}, update__resources__0__name=text)


def _change_resource(dataset: dict[str, Any], text: str) -> None:
    _call("resource_patch", id=dataset["resources"][0]["id"], description=text)


def _add_resource(dataset: dict[str, Any], text: str) -> None:
    _call("resource_create", package_id=dataset["id"], url=f"http://example.org/{text}")


def _script(dataset: dict[str, Any], text: str) -> None:
    from ckan import model

    package = model.Package.get(dataset["id"])
    assert package
    package.author = text
    model.repo.commit()


def _script_on_a_resource(dataset: dict[str, Any], text: str) -> None:
    """Writes no row that others write: nothing but recording itself makes these wait for each other."""
    from ckan import model

    writer = int(text.split()[-1])
    resource = model.Resource.get(dataset["resources"][writer]["id"])
    assert resource
    resource.description = text
    model.repo.commit()


Save = Callable[[dict[str, Any], str], None]
ALL_KINDS = [_patch, _overwrite, _revise, _change_resource, _add_resource, _script]
#: What core can do again and again side by side. Where the list of resources is overwritten while others add
#: to it, core leaves gaps in their positions, and then fails with an IndexError in each later save, also
#: without any plugin; and a dataset to which thousands of resources are added is another test.
LASTING = [_patch, _revise, _change_resource, _script]
#: As many as there are writers at most, and there from the beginning to the end.
RESOURCES = 8


def write(gate: Path, kinds: list[Save], dataset: dict[str, Any], text: str) -> None:
    """What each process does, as soon as all may: a save of each of *kinds*."""
    from ckan import model

    with gate.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        for number, kind in enumerate(kinds):
            kind(dataset, f"save {number}, {text}")
            model.Session.remove()  # as at the end of a request


@pytest.mark.parametrize(
    "among",
    [
        pytest.param(
            ALL_KINDS, id="all kinds", marks=pytest.mark.proof(rounds=(2, 50), writers=(5, 8), saves=(1, 1))
        ),
        pytest.param(
            LASTING, id="many saves", marks=pytest.mark.proof(rounds=(0, 50), writers=(0, 8), saves=(0, 10))
        ),
        pytest.param(
            [_script_on_a_resource],
            id="scripts that share no row",
            marks=pytest.mark.proof(rounds=(2, 50), writers=(5, 8), saves=(1, 10)),
        ),
    ],
)
def test_many_writers_of_one_dataset_make_one_chain(
    with_plugins,
    counts,
    chance: random.Random,
    nursery: Nursery,
    tmp_path: Path,
    record_property,
    among: list[Save],
):
    dataset = factories.Dataset(resources=[{"url": f"http://example.org/{n}.csv"} for n in range(RESOURCES)])
    gate = tmp_path / "gate"
    gate.touch()
    changes: Counter[str] = Counter()
    for turn in range(counts["rounds"]):
        shown = recorded.call("package_show", id=dataset["id"])
        kinds = [chance.choices(among, k=counts["saves"]) for _ in range(counts["writers"])]
        with gate.open() as closed:
            fcntl.flock(closed, fcntl.LOCK_EX)
            writers = [
                nursery.start(write, gate, mine, shown, f"round {turn}, writer {number}")
                for number, mine in enumerate(kinds)
            ]
        for writer in writers:
            writer.end()
        changes.update(kind.__name__.strip("_").replace("_", " ") for mine in kinds for kind in mine)
        assert len(recorded.revisions(dataset["id"])) == 1 + changes.total()
        assert_head_is_the_dataset(dataset["id"])
    assert_history_is_the_datasets(dataset["id"])
    record_property("saves", dict(changes))
