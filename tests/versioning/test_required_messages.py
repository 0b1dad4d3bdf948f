"""A site or an organisation asks everybody to say what has changed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.tests import factories

from ckanext.versioning.messages import ORGANIZATION_FIELD
from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call
from tests.versioning.test_message_field import filled_in, send

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def editor_and_strict() -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset with a link, in an organisation that asks for messages."""
    editor, dataset = editor_and_dataset(title="Before", resources=[{"url": "http://x/a", "name": "a"}])
    extras = [{"key": ORGANIZATION_FIELD, "value": "Yes"}]
    call("organization_patch", id=dataset["owner_org"], extras=extras)
    return editor, dataset


def test_every_action_that_takes_one_needs_it(portal: Portal, editor_and_strict: Any):
    editor, dataset = editor_and_strict
    id, resource = dataset["id"], dataset["resources"][0]
    whole = portal.action("package_show", editor, id=id)
    other = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    calls: list[tuple[str, dict[str, Any]]] = [
        ("package_patch", {"id": id, "title": "After"}),
        ("package_update", {**whole, "title": "After", "version_message": " "}),
        ("package_revise", {"match": {"id": id}, "update": {"title": "After"}}),
        ("package_patch", {"id": id, "title": "After", "owner_org": other["id"]}),
        ("resource_create", {"package_id": id, "url": "http://x/b"}),
        ("resource_update", {**resource, "name": "b"}),
        ("resource_patch", {"id": resource["id"], "name": "b"}),
        ("resource_delete", {"id": resource["id"]}),
        ("resource_delete", {"id": resource["id"], "version_message": " "}),
    ]
    for action, data in calls:
        problem = portal.action(action, editor, status=409, **data)
        assert "Say in a few words" in str(problem["version_message"]), action
        assert recorded.newest(id).seq == 1, action
        assert portal.action("package_show", editor, id=id) == whole, action
        found = portal.action("package_search", editor, fq=f"id:{id}")["results"]
        assert [(of["title"], of["num_resources"]) for of in found] == [("Before", 1)], action
    portal.action("resource_delete", editor, id=resource["id"], version_message="x")
    assert recorded.newest(id).message == "x"


def test_what_changes_nothing_needs_none(portal: Portal, editor_and_strict: Any):
    editor, dataset = editor_and_strict
    name = dataset["organization"]["name"]
    portal.action("package_patch", editor, id=dataset["id"], title="Before", owner_org=name)
    portal.action("package_update", editor, **portal.action("package_show", editor, id=dataset["id"]))
    portal.action("resource_patch", editor, id=dataset["resources"][0]["id"], name="a")
    assert recorded.newest(dataset["id"]).seq == 1


def test_what_has_no_field_for_it_goes_on_without(portal: Portal, editor_and_strict: Any):
    editor, dataset = editor_and_strict
    id, org = dataset["id"], dataset["owner_org"]
    portal.action("bulk_update_private", factories.SysadminWithToken(), datasets=[id], org_id=org)
    draft = factories.Dataset(owner_org=org, state="draft")
    portal.action("resource_create", editor, package_id=draft["id"], url="http://x/a")
    portal.action("package_patch", editor, id=draft["id"], state="active")
    portal.action("package_delete", editor, id=id)
    call("package_patch", id=id, title="By a job")
    portal.action("dataset_revert", editor, dataset=id, revision_ref="r1")
    assert recorded.newest(id).seq == 5
    portal.action("organization_delete", factories.SysadminWithToken(), id=org)


def test_strangers_are_not_told(portal: Portal, editor_and_strict: Any):
    _, dataset = editor_and_strict
    stranger, _ = editor_and_dataset()
    portal.action("resource_delete", stranger, status=403, id=dataset["resources"][0]["id"])
    portal.action("resource_create", stranger, status=403, package_id=dataset["id"], url="http://x/b")


@pytest.mark.ckan_config("ckanext.versioning.require_message", True)
def test_the_forms_ask_for_it(portal: Portal):
    editor, dataset = editor_and_dataset(title="Before", resources=[{"url": "http://x/a", "name": "a"}])
    resource = dataset["resources"][0]["id"]
    for url, field in (
        (f"/dataset/edit/{dataset['id']}", "title"),
        (f"/dataset/{dataset['id']}/resource/{resource}/edit", "name"),
        (f"/dataset/{dataset['id']}/resource/new", "url"),
    ):
        page = BeautifulSoup(portal.get(url, editor).body, "html.parser")
        assert page.select("#field-version-message[required]")
        seq = recorded.newest(dataset["id"]).seq
        form: Any = {"url": "http://x/b", "id": ""} if field == "url" else filled_in(portal, url, editor)
        form.pop("version_release", None)
        form[field] = "http://y/changed"
        refused = send(portal, url, editor, form)
        page = BeautifulSoup(refused.body, "html.parser")
        (problem,) = page.select(".form-group:has(#field-version-message) .error-block")
        assert "Say in a few words" in problem.get_text()
        assert page.select(f"[name={field}]")[0]["value"] == "http://y/changed"
        assert recorded.newest(dataset["id"]).seq == seq
        assert send(portal, url, editor, {**form, "version_message": "Because"}).status_code == 302
        assert recorded.newest(dataset["id"]).seq == seq + 1


@pytest.mark.ckan_config("ckanext.versioning.require_message", True)
def test_a_refused_save_leaves_a_clean_session(portal: Portal):
    editor, dataset = editor_and_dataset(title="Before")
    with portal.app.flask_app.test_request_context(
        "/api/3/action/package_patch", headers={"Authorization": editor["token"]}
    ):
        with contextlib.suppress(Exception):
            call("package_patch", editor, id=dataset["id"], title="After")
        assert not model.Session().in_nested_transaction()
        model.repo.commit()
        assert recorded.stored_title(dataset["id"]) == "Before"
