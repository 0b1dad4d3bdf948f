"""Releases and reverts in CKAN's activity stream, where there is one."""

from __future__ import annotations

from typing import Any

import pytest
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset
from tests.versioning.recorded import call

WITH_ACTIVITY = "authz_service external_storage versioning activity"


@pytest.fixture
def stream(migrate_db_for: Any, portal: Portal) -> Portal:
    migrate_db_for("activity")
    return portal


def types(dataset: dict[str, Any], user: Any) -> list[str]:
    return [a["activity_type"] for a in call("package_activity_list", user, id=dataset["id"])]


@pytest.mark.ckan_config("ckan.plugins", WITH_ACTIVITY)
def test_both_are_told(stream: Portal):
    editor, dataset = editor_and_dataset(title="Before")
    call("package_patch", editor, id=dataset["id"], title="After")
    call("dataset_release_create", editor, dataset=dataset["id"], name="v1", title="The <first>")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")  # changes nothing
    ours = [kind for kind in types(dataset, editor) if kind.startswith("re")]
    assert ours == ["reverted package", "released package"]
    page = stream.get(f"/dataset/activity/{dataset['id']}").body
    assert "released" in page
    assert f"/dataset/{dataset['id']}/v/v1" in page
    assert "v1: The &lt;first&gt;</a>" in page
    assert "went back to revision 1" in page
    only = call("package_activity_list", id=dataset["id"], activity_types=["released package"])
    assert [activity["user_id"] for activity in only] == [editor["id"]]
    # Core's page that compares activities takes ours like its own.
    stream.get(f"/dataset/changes/{only[0]['id']}", editor, status=200)


@pytest.mark.ckan_config("ckan.plugins", WITH_ACTIVITY)
def test_what_was_private_then_stays_out_of_the_readers_stream(stream: Portal):
    editor, dataset = editor_and_dataset(private=True)
    call("dataset_release_create", editor, dataset=dataset["id"], name="secret")
    call("package_patch", editor, id=dataset["id"], private=False)
    assert "released package" in types(dataset, editor)
    assert "released package" not in types(dataset, factories.User())


@pytest.mark.ckan_config("ckan.plugins", WITH_ACTIVITY)
def test_without_a_user_nobody_is_named(stream: Portal):
    _, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    assert "released package" not in types(dataset, factories.Sysadmin())
