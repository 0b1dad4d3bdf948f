"""What somebody says about a change: `version_message`."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories, helpers

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


def messages(dataset: dict[str, Any]) -> list[str | None]:
    return [row.message for row in recorded.revisions(dataset["id"])]


def test_every_way_to_save_takes_one_and_stores_it_with_the_revision_only(portal: Portal):
    editor, made = editor_and_dataset()
    organization = made["owner_org"]
    dataset = portal.action(
        "package_create", editor, name="with-messages", owner_org=organization, version_message="created"
    )
    id = dataset["id"]
    portal.action("package_patch", editor, id=id, title="T", version_message="patched")
    whole = portal.action("package_show", editor, id=id)
    portal.action("package_update", editor, **{**whole, "title": "U", "version_message": "updated"})
    portal.action(
        "package_revise", editor, match={"id": id}, update={"title": "V", "version_message": "revised"}
    )
    resource = portal.action(
        "resource_create", editor, package_id=id, url="http://x/a", version_message="with a resource"
    )
    portal.action(
        "resource_patch", editor, id=resource["id"], name="a", version_message="resource\r\npatched "
    )
    resource = portal.action("resource_show", editor, id=resource["id"])
    portal.action(
        "resource_update", editor, **{**resource, "name": "b", "version_message": "resource updated"}
    )
    portal.action("resource_delete", editor, id=resource["id"], version_message="resource deleted")
    portal.action("package_patch", editor, id=id, title="W")

    assert messages(dataset) == [
        "created",
        "patched",
        "updated",
        "revised",
        "with a resource",
        "resource\npatched",
        "resource updated",
        "resource deleted",
        None,
    ]
    recorded.assert_chain_holds(id)
    listed = portal.action("dataset_revision_list", editor, id=id, all=True)
    assert listed[1]["message"] == "resource deleted"
    for seq in range(1, 10):
        shown = portal.action("package_show", editor, id=id, revision_ref=f"r{seq}")
        assert "version_message" not in str(shown)


def test_a_message_begins_a_line_of_its_own():
    user, dataset = factories.Sysadmin(), factories.Dataset()
    call("package_patch", user, id=dataset["id"], title="1")
    call("package_patch", user, id=dataset["id"], title="2", version_message="Corrected.")
    call("package_patch", user, id=dataset["id"], title="3")
    assert [line["seq"] for line in call("dataset_revision_list", id=dataset["id"])] == [4, 3, 2, 1]


@pytest.mark.parametrize("message", ["", "  \r\n ", None])
def test_a_blank_one_is_none(message: Any):
    dataset = factories.Dataset()
    call("package_patch", id=dataset["id"], title="T", version_message=message)
    assert messages(dataset) == [None, None]


@pytest.mark.parametrize("message", [7, ["x"], "x" * 1001, "a\0b", "\ud800"], ids=ascii)
def test_what_is_no_message_is_refused(message: Any):
    dataset = factories.Dataset()
    with pytest.raises(tk.ValidationError) as caught:
        call("package_patch", id=dataset["id"], title="T", version_message=message)
    assert list(caught.value.error_dict) == ["version_message"]
    assert messages(dataset) == [None]


def test_a_save_that_fails_leaves_its_message_to_nobody():
    dataset = factories.Dataset()
    with pytest.raises(tk.ValidationError):
        call("package_patch", id=dataset["id"], name="no name", version_message="failed")
    call("package_patch", id=dataset["id"], title="T")
    assert messages(dataset) == [None, None]


def test_somebody_else_commits_later():
    dataset = factories.Dataset()
    context = {"defer_commit": True, "return_id_only": True}
    helpers.call_action("package_patch", context, id=dataset["id"], title="T", version_message="later")
    assert messages(dataset) == [None]
    model.repo.commit()
    call("package_patch", id=dataset["id"], title="U")
    assert messages(dataset) == [None, "later", None]


def test_a_move_to_another_organisation_keeps_it():
    """CKAN 2.11 commits in the middle of it."""
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    call(
        "package_patch",
        factories.Sysadmin(),
        id=dataset["id"],
        owner_org=factories.Organization()["id"],
        title="T",
        version_message="moved",
    )
    assert set(messages(dataset)[1:]) == {"moved"}
