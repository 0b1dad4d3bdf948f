"""Many writers on one dataset: one revision for each real change, without gaps or forks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from tests.versioning import recorded
from tests.versioning.recorded import call

WRITERS = 4
SAVES = 8


def _patch(dataset: dict[str, Any], text: str) -> None:
    call("package_patch", id=dataset["id"], title=text)


def _script(dataset: dict[str, Any], text: str) -> None:
    """Takes no lock before it writes, as plain `package_update` does not."""
    package = model.Package.get(dataset["id"])
    assert package
    package.notes = text
    model.repo.commit()


def _resource(dataset: dict[str, Any], text: str) -> None:
    call("resource_patch", id=dataset["resources"][0]["id"], description=text)


def _new_resource(dataset: dict[str, Any], text: str) -> None:
    """Its foreign key holds a share of the dataset's row, which another writer may hold too."""
    resource = model.Resource(url=f"http://x/{text}", package_id=dataset["id"])
    writer, turn = text.split("-")
    resource.position = 1 + int(writer) * SAVES + int(turn)
    model.Session.add(resource)
    model.Session.flush()
    model.repo.commit()


def _new_tag(dataset: dict[str, Any], text: str) -> None:
    """A share of the dataset's row as well, and harmless beside a patch: core patches a dataset by its
    resources' positions, which two writers without a lock would give out twice.
    """
    package = model.Package.get(dataset["id"])
    assert package
    package.add_tag_by_name(f"tag {text}")
    model.Session.flush()
    model.repo.commit()


@pytest.mark.parametrize(
    "writes",
    [[_patch], [_script], [_new_resource], [_patch, _script, _resource, _new_tag]],
    ids=["patches", "scripts", "new resources", "all kinds"],
)
def test_writers_of_one_dataset(app, with_plugins, writes: list[Callable[[dict[str, Any], str], None]]):
    dataset = factories.Dataset(resources=[{"url": "http://x"}])
    barrier = Barrier(WRITERS)

    def write(writer: int) -> None:
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                for turn in range(SAVES):
                    writes[(writer + turn) % len(writes)](dataset, f"{writer}-{turn}")
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))

    assert len(recorded.revisions(dataset["id"])) == 1 + WRITERS * SAVES
    recorded.assert_chain_holds(dataset["id"])
    head = recorded.newest(dataset["id"])
    shown = call("package_show", id=dataset["id"], revision_ref=head.id)
    assert shown["title"] == recorded.stored_title(dataset["id"])
    assert shown["is_current"]


def test_writers_of_many_datasets_at_once_do_not_wait_for_each_other_in_a_circle(app, with_plugins):
    datasets = [factories.Dataset() for _ in range(5)]
    barrier = Barrier(WRITERS)

    def write(writer: int) -> None:
        # Each transaction touches all five; the first to lock one of them must not do so out of turn.
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                for turn in range(SAVES):
                    for dataset in sorted(datasets, key=lambda d: d["id"]):
                        package = model.Package.get(dataset["id"])
                        assert package
                        package.title = f"{writer}-{turn}"
                    model.repo.commit()
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    for dataset in datasets:
        assert len(recorded.revisions(dataset["id"])) == 1 + WRITERS * SAVES
        recorded.assert_chain_holds(dataset["id"])
