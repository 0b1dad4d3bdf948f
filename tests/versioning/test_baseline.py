"""Datasets that are older than the plugin: what they were before is kept as their first revision."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from threading import Barrier
from typing import Any

import pytest
from ckan import model, plugins
from ckan.tests import factories

from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


def make_before(**fields: Any) -> dict[str, Any]:
    """A dataset, made while the plugin was off."""
    organization = factories.Organization()
    plugins.unload("versioning")
    try:
        return factories.Dataset(owner_org=organization["id"], **fields)
    finally:
        plugins.load("versioning")


def test_the_first_save_keeps_what_was_there_before():
    dataset = make_before(title="Before", resources=[{"url": "http://x/a.csv", "name": "a"}])
    user = factories.Sysadmin()
    mine = model.Session()
    call("package_patch", user, id=dataset["id"], title="After", resources=[])
    assert model.Session() is mine

    before, after = recorded.revisions(dataset["id"])
    assert (before.origin, before.author_id, before.author_name) == ("baseline", None, None)
    assert before.created == datetime.fromisoformat(dataset["metadata_modified"]).replace(tzinfo=timezone.utc)
    assert (after.origin, after.author_id) == ("cli", user["id"])
    assert after.summary["fields"] == ["title"]
    assert after.summary["resources"]["removed"] == [dataset["resources"][0]["id"]]
    assert before.changeset != after.changeset
    recorded.assert_chain_holds(dataset["id"])
    assert call("package_show", id=dataset["id"], revision_ref="r1")["title"] == "Before"
    assert call("package_show", id=dataset["id"], revision_ref="r1")["num_resources"] == 1
    assert call("package_show", id=dataset["id"], revision_ref="r2")["num_resources"] == 0


@pytest.mark.parametrize(
    ("action", "fields"), [("package_patch", {"private": False}), ("package_delete", {})], ids=str
)
def test_it_is_as_visible_as_it_was(action: str, fields: dict[str, Any]):
    dataset = make_before(private=True)
    call(action, id=dataset["id"], **fields)
    before, _after = recorded.revisions(dataset["id"])
    assert before.labels == [f"member-{dataset['owner_org']}"]
    assert call("package_show", id=dataset["id"], revision_ref="r1")["state"] == "active"


def test_without_a_change_there_is_nothing_to_keep():
    dataset = make_before()
    call("package_patch", id=dataset["id"], title=dataset["title"])
    assert recorded.revisions(dataset["id"]) == []


def test_no_time_in_the_future():
    dataset = make_before()
    package = model.Package.get(dataset["id"])
    assert package
    plugins.unload("versioning")
    package.metadata_modified = datetime(2999, 1, 1)  # noqa: DTZ001 - as CKAN stores it
    model.Session.commit()
    plugins.load("versioning")
    call("package_patch", id=dataset["id"], title="After")
    before, after = recorded.revisions(dataset["id"])
    assert before.created < after.created < datetime.now(timezone.utc)


def test_of_many_first_saves_one_keeps_it(app):
    dataset = make_before(title="Before")
    barrier = Barrier(4)

    def save(writer: int) -> None:
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                call("package_patch", id=dataset["id"], title=f"After {writer}")
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(4)))
    assert [row.origin for row in recorded.revisions(dataset["id"])] == ["baseline", *["web"] * 4]
    recorded.assert_chain_holds(dataset["id"])
    assert call("package_show", id=dataset["id"], revision_ref="r1")["title"] == "Before"
