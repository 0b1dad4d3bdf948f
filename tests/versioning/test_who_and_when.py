"""Author, origin, time and changeset of a revision."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import jobs
from ckan.tests import factories, helpers

from ckanext.versioning import model as tables
from tests.portal import Portal
from tests.versioning import recorded

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def dataset() -> dict[str, Any]:
    organization = factories.Organization()
    return factories.Dataset(user={"name": factories.Sysadmin()["name"]}, owner_org=organization["id"])


def who(row: Any) -> tuple[str | None, str | None, str]:
    return row.author_id, row.author_name, row.origin


def patch(dataset_id: str, **fields: Any) -> None:
    user = fields.pop("user", "")
    helpers.call_action("package_patch", {"user": user}, id=dataset_id, **fields)


def test_over_the_api(portal: Portal, dataset: dict[str, Any]):
    user = factories.SysadminWithToken(fullname="Ann Author")
    portal.action("package_patch", user, id=dataset["id"], title="T")
    assert who(recorded.newest(dataset["id"])) == (user["id"], "Ann Author", "api")


def test_over_the_api_without_a_hook(portal: Portal, dataset: dict[str, Any]):
    user = factories.SysadminWithToken()
    organization = factories.Organization()
    portal.action("package_owner_org_update", user, id=dataset["id"], organization_id=organization["id"])
    row = recorded.newest(dataset["id"])
    assert row.seq == 2
    assert who(row) == (user["id"], user["fullname"], "api")


def test_deleted_over_the_api(portal: Portal, dataset: dict[str, Any]):
    user = factories.SysadminWithToken()
    portal.action("package_delete", user, id=dataset["id"])
    assert who(recorded.newest(dataset["id"])) == (user["id"], user["fullname"], "api")


def test_in_a_web_page(app, dataset: dict[str, Any]):
    user = factories.Sysadmin()
    with app.flask_app.test_request_context(f"/dataset/edit/{dataset['id']}"):
        patch(dataset["id"], title="T", user=user["name"])
    assert who(recorded.newest(dataset["id"])) == (user["id"], user["fullname"], "web")


def test_on_the_command_line_without_a_user(dataset: dict[str, Any]):
    package = model.Package.get(dataset["id"])
    assert package
    package.title = "T"
    model.repo.commit()
    assert who(recorded.newest(dataset["id"])) == (None, None, "cli")


def test_somebody_who_is_no_user_is_nobody(dataset: dict[str, Any]):
    patch(dataset["id"], title="T", user="127.0.0.1")
    assert who(recorded.newest(dataset["id"])) == (None, None, "cli")


@pytest.mark.usefixtures("with_test_worker", "clean_queues")
def test_in_a_background_job(dataset: dict[str, Any]):
    user = factories.Sysadmin()
    tk.enqueue_job(patch, [dataset["id"]], {"title": "T", "user": user["name"]})
    jobs.Worker().work(burst=True)
    assert who(recorded.newest(dataset["id"])) == (user["id"], user["fullname"], "job")


@pytest.mark.usefixtures("with_test_worker", "clean_queues")
def test_in_a_background_job_without_a_user(dataset: dict[str, Any]):
    tk.enqueue_job(patch, [dataset["id"]], {"title": "T"})
    jobs.Worker().work(burst=True)
    assert who(recorded.newest(dataset["id"])) == (None, None, "job")


def test_the_name_stays_what_it_was(dataset: dict[str, Any]):
    user = factories.Sysadmin(fullname="Before")
    patch(dataset["id"], title="T", user=user["name"])
    address = "after@example.org"  # which CKAN 2.11 wants with every change of a user
    helpers.call_action("user_patch", id=user["id"], fullname="After", email=address)
    assert recorded.newest(dataset["id"]).author_name == "Before"


def test_the_time_is_the_databases(dataset: dict[str, Any]):
    clock = sa.select(sa.func.clock_timestamp())
    before = model.Session.execute(clock).scalar_one()
    model.Session.rollback()
    patch(dataset["id"], title="T")
    after = model.Session.execute(clock).scalar_one()
    first, second = recorded.revisions(dataset["id"])
    assert first.created < before < second.created < after


def test_changesets(dataset: dict[str, Any]):
    user = factories.Sysadmin()["name"]

    def save(title: str, user: str = user) -> None:
        patch(dataset["id"], title=title, user=user)

    save("one")
    save("two")
    save("three", user=factories.Sysadmin()["name"])
    save("four")
    _make_older(dataset["id"], timedelta(minutes=11))
    save("five")
    save("six")
    helpers.call_action("dataset_release_create", dataset=dataset["id"], name="v1")
    save("seven")
    helpers.call_action("package_patch", {"user": user}, id=dataset["id"], private=True)

    numbers: dict[str, list[int]] = {}
    for row in recorded.revisions(dataset["id"]):
        numbers.setdefault(row.changeset, []).append(row.seq)
    # r1 is the factory's user; r9 has other labels.
    assert list(numbers.values()) == [[1], [2, 3], [4], [5], [6, 7], [8], [9]]


def test_no_changeset_goes_on_for_more_than_an_hour(dataset: dict[str, Any]):
    user = factories.Sysadmin()["name"]
    for turn in range(8):
        patch(dataset["id"], title=str(turn), user=user)
        _make_older(dataset["id"], timedelta(minutes=9))
    seqs = [row.seq for row in recorded.revisions(dataset["id"])[1:]]
    sets = [row.changeset for row in recorded.revisions(dataset["id"])[1:]]
    assert len(set(sets[:7])) == 1  # the first save and six more, 54 minutes
    assert sets[7] != sets[0]
    assert seqs == list(range(2, 10))


def _make_older(dataset_id: str, age: timedelta) -> None:
    r = tables.revision
    older = sa.update(r).where(r.c.package_id == dataset_id).values(created=r.c.created - age)
    model.Session.execute(older)
    model.Session.commit()
    assert recorded.newest(dataset_id).created < datetime.now(timezone.utc) - age
