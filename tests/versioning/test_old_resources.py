"""A ref behind an id, and `resource_show` of an old version."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.tests import factories, helpers

from tests.portal import Portal, editor_and_dataset
from tests.statements import statements
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


class ShowingPlugin(plugins.SingletonPlugin):
    """Another plugin, which has its say in what is shown of a resource."""

    plugins.implements(plugins.IPackageController, inherit=True)
    plugins.implements(plugins.IResourceController, inherit=True)

    def after_dataset_show(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        for resource in pkg_dict["resources"]:
            resource["of"] = pkg_dict["name"]

    def before_resource_show(self, resource_dict: dict[str, Any]) -> dict[str, Any]:
        resource_dict["description"] = "watched"
        return resource_dict


@pytest.fixture(autouse=True)
def other_plugins(provide_plugin) -> None:
    """Installed, but switched on only by the test that says so."""
    provide_plugin("showing_plugin", ShowingPlugin)


@pytest.fixture
def dataset() -> dict[str, Any]:
    """r1: resources a, b, c; r2: title; r3: b renamed and first; r4: b removed."""
    dataset: Any = factories.Dataset(
        title="first title", resources=[{"url": f"x.example/{name}", "name": name} for name in "abc"]
    )
    _, b, _ = ids = [resource["id"] for resource in dataset["resources"]]
    call("package_patch", id=dataset["id"], title="second title")
    call(
        "package_patch",
        id=dataset["id"],
        resources=[
            {**dataset["resources"][1], "name": "B"},
            dataset["resources"][0],
            dataset["resources"][2],
        ],
    )
    call("resource_delete", id=b)
    assert [len(recorded.states(dataset["id"], seq)) for seq in (1, 2, 3, 4)] == [3, 3, 3, 2]
    return {**dataset, "ids": ids}


def without_marks(resource: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in resource.items() if k not in ("revision_ref", "is_current", "revision")}


@pytest.mark.ckan_config("ckan.plugins", "versioning showing_plugin")
def test_it_is_what_package_show_has_of_it(dataset: dict[str, Any]):
    for seq, count in {1: 3, 2: 3, 3: 3, 4: 2}.items():
        whole = call("package_show", id=dataset["id"], revision_ref=f"r{seq}")
        assert len(whole["resources"]) == count
        for resource in whole["resources"]:
            assert resource["of"] == dataset["name"]
            assert resource["description"] == "watched"
            one = call("resource_show", id=resource["id"], revision_ref=f"r{seq}")
            assert without_marks(one) == resource
            assert {**one, **whole} == {**resource, **whole}, "the marks are the dataset's"


def test_one_that_is_gone_now(dataset: dict[str, Any]):
    _, b, _ = dataset["ids"]
    with pytest.raises(tk.ObjectNotFound):
        call("resource_show", "", id=b)
    shown = call("resource_show", "", id=b, revision_ref="r3")
    assert (shown["name"], shown["position"], shown["is_current"]) == ("B", 0, False)
    assert call("resource_show", "", id=f"{b}@r2")["name"] == "b"
    for ref in ("r4", "head", "v9", "r9"):
        with pytest.raises(tk.ObjectNotFound):
            call("resource_show", "", id=b, revision_ref=ref)
    with pytest.raises(tk.ObjectNotFound):
        call("resource_show", "", id="no-such-resource", revision_ref="r1")
    for ref in ("2026-02-30", "a\0b", 7):
        with pytest.raises(tk.ValidationError):
            call("resource_show", "", id=b, revision_ref=ref)


def test_one_whose_id_another_dataset_has_taken_over(dataset: dict[str, Any]):
    _, b, _ = dataset["ids"]
    other = factories.Dataset(resources=[{"url": "x.example/n", "name": "new owner", "id": b}])
    assert other["resources"][0]["id"] == b
    assert call("resource_show", "", id=b, revision_ref="r1")["name"] == "new owner"
    # The other one has no revision 3, and the one that had it then may be read.
    assert call("resource_show", "", id=b, revision_ref="r3")["name"] == "B"


def test_only_one_is_read_however_many_there_are(dataset: dict[str, Any]):
    a, _, _ = dataset["ids"]

    def cost() -> int:
        with statements() as sent:
            call("resource_show", "", id=a, revision_ref="r1")
        return len(sent)

    few = cost()
    more = [{"url": f"x.example/{n}"} for n in range(40)]
    now = call("package_show", id=dataset["id"])
    call("package_patch", id=dataset["id"], resources=[*now["resources"], *more])
    assert call("resource_show", "", id=a, revision_ref="head")["name"] == "a"
    assert cost() <= few


def test_the_url_gives_the_bytes_of_that_time(portal: Portal):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, b"first\n")
    portal.action(
        "resource_patch",
        editor,
        id=resource["id"],
        sha256=portal.push(editor, dataset, b"second\n"),
        url="data.csv",
    )
    portal.action("resource_delete", editor, id=resource["id"])
    for ref, data in (("r2", b"first\n"), ("r3", b"second\n")):
        shown = portal.get(f"/api/3/action/resource_show?id={resource['id']}@{ref}").json["result"]
        assert shown["datastore_active"] is False
        assert portal.get(shown["url"]).data == data


def test_a_resource_that_a_plugin_has_closed(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    from ckan import authz

    a, b, _ = dataset["ids"]
    asked = authz.is_authorized

    def closed(action: str, context: Any, data_dict: Any = None) -> Any:
        if action == "resource_show":
            return {"success": False, "msg": "closed"}
        return asked(action, context, data_dict)

    assert call("resource_show", "", id=a, revision_ref="r1")
    monkeypatch.setattr(authz, "is_authorized", closed)
    with pytest.raises(tk.ObjectNotFound):
        call("resource_show", "", id=a, revision_ref="r1")
    assert call("resource_show", "", id=b, revision_ref="r1"), "what is gone has its dataset's permissions"


def test_a_ref_behind_the_id(portal: Portal, dataset: dict[str, Any]):
    name = dataset["name"]
    call("dataset_release_create", dataset=name, name="v1", revision_ref="r1")
    for id in (f"{name}@v1", f"{dataset['id']}@head~3", f"{name}@latest"):
        shown = portal.get(f"/api/3/action/package_show?id={id}").json["result"]
        assert (shown["title"], shown["revision_ref"]) == ("first title", id.partition("@")[2])
        assert portal.action("package_show", id=id) == shown
    for id in (f"{name}@v2", "no-such-dataset@v1"):
        with pytest.raises(tk.ObjectNotFound):
            call("package_show", id=id)
    for arguments in (
        {"id": f"{name}@"},
        {"id": f"{name}@v1@v1"},
        {"id": f"{name}@v1", "revision_ref": "r1"},
    ):
        with pytest.raises((tk.ValidationError, tk.ObjectNotFound)):
            call("package_show", **arguments)


def test_pages_do_not_read_their_address_that_way(portal: Portal, dataset: dict[str, Any]):
    sysadmin = factories.SysadminWithToken()
    a, _, _ = dataset["ids"]
    for path in (
        f"/dataset/edit/{dataset['name']}@r1",
        f"/dataset/resources/{dataset['name']}@r1",
        f"/dataset/{dataset['name']}@r1/resource/{a}",
        f"/dataset/{dataset['name']}/resource/{a}@r1",
    ):
        assert portal.get(path, sysadmin).status_code == 404, path


def test_what_was_shown_of_an_old_resource_is_not_saved(dataset: dict[str, Any]):
    a, _, _ = dataset["ids"]
    call("resource_patch", id=a, name="A")
    then = call("resource_show", id=a, revision_ref="r1")
    whole = call("package_show", id=dataset["id"], revision_ref="r1")
    now = call("package_show", id=dataset["id"])
    count = len(recorded.revisions(dataset["id"]))
    for action, arguments in (
        ("resource_update", then),
        ("resource_patch", then),
        ("resource_create", {**then, "package_id": dataset["id"]}),
        ("package_create", {**whole, "id": None, "name": "a-copy-of-it"}),
        ("package_update", {**now, "resources": [then, *now["resources"][1:]]}),
        ("package_patch", {"id": dataset["id"], "resources": [then]}),
    ):
        with pytest.raises(tk.ValidationError) as caught:
            helpers.call_action(action, **arguments)
        error = str(caught.value.error_dict["revision_ref"])
        assert "revision 1" in error
        assert "dataset_revert" in error
    assert len(recorded.revisions(dataset["id"])) == count


def test_what_was_shown_of_the_current_one_is_saved_without_the_marks(dataset: dict[str, Any]):
    a, _, c = dataset["ids"]
    for id, action in ((a, "resource_update"), (c, "resource_patch")):
        call(action, **{**call("resource_show", id=id, revision_ref="head"), "name": "new name"})
        shown = call("resource_show", id=id)
        assert shown["name"] == "new name"
        assert without_marks(shown) == shown
    stored = sa.text("SELECT extras FROM resource WHERE id = :id")
    assert "revision" not in str(model.Session.execute(stored, {"id": a}).scalar())
