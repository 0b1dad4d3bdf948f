"""Which saves are one line in the list of versions. The rule itself: `test_history`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories, helpers

from ckanext.versioning import model as tables
from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded

pytestmark = pytest.mark.usefixtures("with_plugins")


def numbers(dataset_id: str) -> list[list[int]]:
    """The numbers of the revisions in each changeset."""
    found: dict[str, list[int]] = {}
    for row in recorded.revisions(dataset_id):
        found.setdefault(row.changeset, []).append(row.seq)
    return list(found.values())


def make_older(dataset_id: str, age: timedelta) -> None:
    r = tables.revision
    older = sa.update(r).where(r.c.package_id == dataset_id).values(created=r.c.created - age)
    model.Session.execute(older)
    model.Session.commit()


def send(portal: Portal, user: Any, name: str | None, action: str, status: int = 200, **data: Any) -> Any:
    headers = {"Authorization": user["token"], **({"X-CKAN-Changeset": name} if name is not None else {})}
    return portal.app.post(f"/api/3/action/{action}", json=data, headers=headers, status=status).json


def test_the_form_that_makes_a_dataset_with_ten_files_makes_one_line(portal: Portal):
    editor = factories.UserWithToken()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    headers = {"Authorization": editor["token"]}

    def post(url: str, /, **fields: str) -> None:
        answer = portal.app.post(url, data=fields, headers=headers, follow_redirects=False)
        assert answer.status_code == 302, answer.body

    post(
        "/dataset/new",
        _ckan_phase="1",
        name="of-ten-files",
        title="Of ten files",
        owner_org=organization["id"],
        private="False",
        save="",
    )
    for number in range(10):
        last = number == 9
        post(
            "/dataset/of-ten-files/resource/new",
            id="",
            url=f"http://x/{number}.csv",
            name=f"{number}",
            save="go-metadata" if last else "again",
        )
        if number == 5:  # a long lunch
            make_older(model.Package.by_name("of-ten-files").id, timedelta(hours=2))  # pyright: ignore[reportOptionalMemberAccess]

    dataset = portal.action("package_show", id="of-ten-files")
    assert (dataset["state"], dataset["num_resources"]) == ("active", 10)
    head = recorded.newest(dataset["id"])
    assert head.seq >= 11
    for who in (editor, None):
        lines = portal.action("dataset_revision_list", who, id=dataset["id"])
        assert [line["seq"] for line in lines] == [head.seq]
    # Those who may not edit see nothing of what it was before it was published.
    everything = portal.action("dataset_revision_list", None, id=dataset["id"], all=True)
    assert [line["seq"] for line in everything] == [head.seq]

    portal.action("package_patch", editor, id=dataset["id"], title="Of the first ten files")
    assert len(portal.action("dataset_revision_list", editor, id=dataset["id"])) == 2


def test_the_request_says_which_saves_belong_together(portal: Portal):
    editor, dataset = editor_and_dataset()
    other = factories.SysadminWithToken()

    def save(user: Any, name: str | None, **fields: str) -> None:
        send(portal, user, name, "package_patch", id=dataset["id"], **fields)

    save(editor, "import-7", title="1")
    make_older(dataset["id"], timedelta(days=3))
    save(editor, "import-7", title="2", version_message="half of it")
    send(portal, editor, "import-7", "resource_create", package_id=dataset["id"], url="http://x")
    save(editor, "import-8", title="3")
    save(editor, None, title="4")
    save(other, "import-8", title="5")
    save(editor, "import-8", title="6")
    # The factory made r1. The name comes back in r8, after others' revisions: that is another changeset.
    assert numbers(dataset["id"]) == [[1], [2, 3, 4], [5], [6], [7], [8]]
    lines = portal.action("dataset_revision_list", editor, id=dataset["id"])
    assert [line["seq"] for line in lines] == [8, 7, 6, 5, 4, 1]
    assert "import-7" not in str(lines)


@pytest.mark.parametrize("name", ["", "two words", "x" * 101, "ä", "a,b"])
def test_a_name_that_is_none_is_refused(portal: Portal, name: str):
    editor, dataset = editor_and_dataset()
    error = send(portal, editor, name, "package_patch", 409, id=dataset["id"], title="T")["error"]
    assert error["__type"] == "Validation Error"
    assert "1 to 100 letters" in error["X-CKAN-Changeset"][0]
    assert recorded.stored_title(dataset["id"]) == dataset["title"]
    assert len(recorded.revisions(dataset["id"])) == 1


def test_it_is_refused_by_actions_that_core_has_to_itself(portal: Portal):
    dataset = editor_and_dataset()[1]
    sysadmin = factories.SysadminWithToken()
    move = {"id": dataset["id"], "organization_id": factories.Organization()["id"]}
    error = send(portal, sysadmin, "two words", "package_owner_org_update", 409, **move)["error"]
    assert list(error) == ["X-CKAN-Changeset", "__type"]
    assert portal.action("package_show", id=dataset["id"])["owner_org"] == dataset["owner_org"]
    assert len(recorded.revisions(dataset["id"])) == 1
    send(portal, sysadmin, "one-word", "package_owner_org_update", **move)
    assert len(recorded.revisions(dataset["id"])) == 2


@pytest.mark.parametrize("message", [None, "Moved."])
def test_one_action_is_one_changeset_also_where_ckan_commits_in_its_middle(message: str | None):
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    user = factories.Sysadmin()
    whole = helpers.call_action("package_show", id=dataset["id"])
    changed = {"title": "T", "owner_org": factories.Organization()["id"], "version_message": message}
    tk.get_action("package_update")({"user": user["name"]}, {**whole, **changed})
    _first, *later = recorded.revisions(dataset["id"])
    assert len(later) in (1, 2)  # CKAN 2.12, 2.11
    assert len({row.changeset for row in later}) == 1
    assert {(row.author_id, row.message) for row in later} == {(user["id"], message)}
    # A message closes the changeset; without one, what follows soon goes on with it.
    helpers.call_action("package_patch", {"user": user["name"]}, id=dataset["id"], title="U")
    assert (recorded.newest(dataset["id"]).changeset == later[0].changeset) is (message is None)
