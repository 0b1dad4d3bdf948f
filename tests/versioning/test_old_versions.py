"""`package_show` with `revision_ref`, and what may not be done with its answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model, plugins
from ckan.tests import factories, helpers

from tests.portal import Portal
from tests.versioning import recorded
from tests.versioning.recorded import MARKS, call, shown

pytestmark = pytest.mark.usefixtures("with_plugins")


def old(id: str, ref: str, **context: Any) -> dict[str, Any]:
    return helpers.call_action("package_show", context, id=id, revision_ref=ref)


def without_marks(dataset: dict[str, Any]) -> dict[str, Any]:
    """What is documented to differ taken out: our marks, and the datastore flag of resources."""
    plain = {key: value for key, value in dataset.items() if key not in MARKS}
    plain["resources"] = [
        {key: value for key, value in resource.items() if key != "datastore_active"}
        for resource in dataset["resources"]
    ]
    return plain


def test_the_marks():
    dataset = factories.Dataset(resources=[{"url": "http://x"}])
    call("package_patch", id=dataset["id"], title="T")
    first, second = recorded.revisions(dataset["id"])
    before, now = old(dataset["name"], "head~1"), old(dataset["id"], "latest")
    assert [before[mark] for mark in MARKS] == ["head~1", False, {"seq": 1, "id": first.id}]
    assert [now[mark] for mark in MARKS] == ["latest", True, {"seq": 2, "id": second.id}]
    assert before["resources"][0]["datastore_active"] is False


def test_without_a_ref_nothing_is_added():
    dataset = factories.Dataset(resources=[{"url": "http://x"}])
    plain = shown(dataset["id"])
    assert not set(MARKS) & set(plain)
    assert shown(dataset["id"]) == plain
    assert call("package_show", id=dataset["id"], revision_ref="") == plain


def test_over_get_and_post_but_not_from_a_pages_query(portal: Portal):
    dataset = factories.Dataset(title="first title")
    call("package_patch", id=dataset["id"], title="second title")
    assert portal.action("package_show", id=dataset["id"], revision_ref="r1")["title"] == "first title"
    got = portal.get(f"/api/3/action/package_show?id={dataset['id']}&revision_ref=r1").json["result"]
    assert got["title"] == "first title"
    page = portal.get(f"/dataset/{dataset['name']}?revision_ref=r1").body
    assert "second title" in page
    assert "first title" not in page


def test_refs_that_lead_nowhere():
    dataset = factories.Dataset()
    for ref in ("v9", "r9", "head~9", "2001-01-01", "0123456789abcdef"):
        with pytest.raises(tk.ObjectNotFound):
            old(dataset["id"], ref)
    malformed: list[Any] = ["2026-02-30", "x" * 101, "a\0b", "\ud800", 7, ["r1"]]
    for ref in malformed:
        with pytest.raises(tk.ValidationError) as caught:
            old(dataset["id"], ref)
        assert list(caught.value.error_dict) == ["revision_ref"]


def test_plugin_data_is_kept_and_not_shown():
    sysadmin = factories.Sysadmin()
    dataset = factories.Dataset()
    context = {"user": sysadmin["name"], "auth_user_obj": _user(sysadmin)}
    helpers.call_action(
        "package_patch", context, id=dataset["id"], plugin_data={"p": {"secret": 1}}, title="T"
    )
    assert "plugin_data" not in old(dataset["id"], "head", **context)


def _user(user: dict[str, Any]) -> Any:
    return model.User.get(user["id"])


def test_the_context_has_the_dataset_as_after_cores_package_show():
    dataset = factories.Dataset()
    context: dict[str, Any] = {}
    helpers.call_action("package_show", context, id=dataset["name"], revision_ref="r1")
    assert context["package"].id == dataset["id"]


class WatchingPlugin(plugins.SingletonPlugin):
    """Another plugin, which has its say in what is shown."""

    plugins.implements(plugins.IPackageController, inherit=True)
    plugins.implements(plugins.IResourceController, inherit=True)

    def before_dataset_view(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        return {**pkg_dict, "notes": "viewed"}

    def after_dataset_show(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        pkg_dict["seen"] = context["package"].name

    def before_resource_show(self, resource_dict: dict[str, Any]) -> dict[str, Any]:
        resource_dict["description"] = "watched"
        return resource_dict


@pytest.fixture(autouse=True)
def other_plugins(provide_plugin) -> None:
    """Installed, but switched on only by the test that says so."""
    provide_plugin("watching_plugin", WatchingPlugin)


@pytest.mark.ckan_config("ckan.plugins", "versioning watching_plugin")
@pytest.mark.parametrize(
    ("context", "data"),
    [
        ({}, {}),
        ({"for_view": True}, {}),
        ({"validate": False}, {}),
        ({}, {"use_default_schema": True}),
    ],
)
def test_other_plugins_and_options_work_as_in_core(context: dict[str, Any], data: dict[str, Any]):
    dataset = factories.Dataset(resources=[{"url": "http://x"}])
    now = helpers.call_action("package_show", {"use_cache": False, **context}, id=dataset["id"], **data)
    then = helpers.call_action("package_show", {**context}, id=dataset["id"], revision_ref="r1", **data)
    # The raw dict, which is what the caller gets without validation, has what only sysadmins see.
    now.pop("plugin_data", None)
    assert without_marks(then) == without_marks(now)
    if "validate" not in context:
        assert then["seen"] == dataset["name"]


def _update(was: dict[str, Any]) -> None:
    call("package_update", **was)


def _patch(was: dict[str, Any]) -> None:
    call("package_patch", **was)


def _revise(was: dict[str, Any]) -> None:
    call("package_revise", match={"id": was["id"]}, update=was)


@pytest.mark.parametrize("write", [_update, _patch, _revise])
def test_an_old_version_is_not_saved_over_the_new_one(write: Callable[[dict[str, Any]], None]):
    dataset = factories.Dataset(title="first")
    call("package_patch", id=dataset["id"], title="second")
    with pytest.raises(tk.ValidationError) as caught:
        write(old(dataset["id"], "r1"))
    assert "revision 1" in str(caught.value.error_dict["revision_ref"])
    assert recorded.stored_title(dataset["id"]) == "second"


def test_what_was_shown_of_the_current_version_can_be_changed_and_saved():
    dataset = factories.Dataset(title="first")
    call("package_update", **{**old(dataset["id"], "head"), "title": "second"})
    assert recorded.stored_title(dataset["id"]) == "second"
    assert not set(MARKS) & set(shown(dataset["id"]))


def test_fields_of_other_plugins_with_such_names_are_left_alone():
    dataset = factories.Dataset(title="first")
    call("package_patch", id=dataset["id"], title="second", revision="2.1", is_current=False)
    assert recorded.stored_title(dataset["id"]) == "second"
