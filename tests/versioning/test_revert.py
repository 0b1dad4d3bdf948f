"""`dataset_revert`: the way back."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.lib import search
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset, oid_of
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

FIRST, SECOND = b"id,value\n1,first\n", b"id,value\n1,second\n"


@pytest.fixture
def editor_and_changed() -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset with links a and b in r1; in r2 with other fields, b changed and c, but without a."""
    editor, dataset = editor_and_dataset(
        title="Before",
        notes="Notes",
        tags=[{"name": "rain"}],
        extras=[{"key": "k", "value": "1"}],
        resources=[{"url": f"http://x/{name}", "name": name, "about": name} for name in "ab"],
    )
    call(
        "package_patch",
        editor,
        id=dataset["id"],
        title="After",
        notes="",
        tags=[{"name": "snow"}, {"name": "ice"}],
        extras=[{"key": "l", "value": "2"}],
        version="2",
        private=True,
        resources=[{"url": "http://x/c", "name": "c"}, {**dataset["resources"][1], "name": "b2"}],
    )
    return editor, dataset


def names(shown: dict[str, Any]) -> list[str]:
    return [resource["name"] for resource in shown["resources"]]


def content(shown: dict[str, Any]) -> Any:
    """What reverting brings back."""
    fields = ("title", "notes", "version", "extras")
    return {
        **{field: shown[field] for field in fields},
        "tags": [tag["name"] for tag in shown["tags"]],
        "resources": [(r["id"], r["name"], r["url"], r.get("about")) for r in shown["resources"]],
    }


def test_everything(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    before = call("package_show", id=dataset["id"], revision_ref="r1")
    reverted = call("dataset_revert", editor, dataset=dataset["name"], revision_ref="r1")
    assert reverted["new_resource_ids"] == {}

    now = call("package_show", id=dataset["id"])
    assert content(now) == content(before) == content(dataset)
    assert now["private"], "who sees it stays as it is"
    newest = recorded.newest(dataset["id"])
    assert (newest.seq, newest.origin, newest.message) == (3, "revert", "Revert to r1")
    assert newest.author_id == editor["id"]
    recorded.assert_chain_holds(dataset["id"])
    # And there is a way back from the way back.
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r2", version_message="No.")
    assert content(call("package_show", id=dataset["id"])) == content(
        call("package_show", id=dataset["id"], revision_ref="r2")
    )
    assert recorded.newest(dataset["id"]).message == "No."


def test_the_fields_only(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=["fields"])
    now = call("package_show", id=dataset["id"])
    assert (now["title"], now["notes"], now["version"]) == ("Before", "Notes", dataset["version"])
    assert names(now) == ["c", "b2"]


def test_single_resources(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    a, b = (resource["id"] for resource in dataset["resources"])
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=[a])
    assert names(call("package_show", id=dataset["id"])) == ["a", "c", "b2"]
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=[b])
    now = call("package_show", id=dataset["id"])
    assert names(now) == ["a", "c", "b"]
    assert now["title"] == "After"
    (c,) = (resource["id"] for resource in now["resources"] if resource["name"] == "c")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=[c])
    assert [r["id"] for r in call("package_show", id=dataset["id"])["resources"]] == [a, b]


def test_what_is_asked_for_by_name(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    call("package_patch", id=dataset["id"], name="renamed-before-revert")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=["private"])
    now = call("package_show", id=dataset["id"])
    assert (now["private"], now["name"], now["title"]) == (False, "renamed-before-revert", "After")


def test_to_what_it_is_now_makes_no_revision(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="head")
    assert recorded.newest(dataset["id"]).seq == 2


def test_files_come_back_without_being_copied(portal: Portal):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, FIRST, "values.csv")
    oid = portal.push(editor, dataset, SECOND)
    portal.action("resource_patch", editor, id=resource["id"], sha256=oid, url="values.csv")
    portal.action("resource_delete", editor, id=resource["id"])
    objects = sa.text("SELECT count(*) FROM external_storage_object")
    before = model.Session.execute(objects).scalar()

    for ref, data in (("r2", FIRST), ("r3", SECOND), ("r2", FIRST)):
        portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref=ref)
        (now,) = portal.action("package_show", editor, id=dataset["id"])["resources"]
        assert (now["id"], now["sha256"], now["size"]) == (resource["id"], oid_of(data), len(data))
        assert now["url"].endswith("/values.csv")
        assert portal.get(now["url"]).data == data
    assert model.Session.execute(objects).scalar() == before


def test_an_id_that_another_dataset_has_by_now(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    a = dataset["resources"][0]["id"]
    other = factories.Dataset(resources=[{"id": a, "url": "http://y/other", "name": "other"}])
    assert other["resources"][0]["id"] == a
    reverted = call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
    now = call("package_show", id=dataset["id"])
    assert names(now) == ["a", "b"]
    assert reverted["new_resource_ids"] == {a: now["resources"][0]["id"]}
    assert now["resources"][0]["id"] != a
    assert names(call("package_show", id=other["id"])) == ["other"]


def test_a_file_that_was_not_kept_stops_it(portal: Portal):
    editor, dataset = editor_and_dataset()
    package = model.Package.get(dataset["id"])
    assert package
    # As CKAN's own FileStore leaves it: a name, and no sha256.
    resource = model.Resource(url="old.csv", url_type="upload", name="old", package_id=package.id)
    resource.position = 0
    model.Session.add(resource)
    model.repo.commit()
    resource_id = resource.id
    model.Session.remove()
    search.rebuild(dataset["id"])
    call("package_patch", id=dataset["id"], title="After")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=["fields"])
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r2")  # the same file is still there

    call("resource_delete", id=resource_id)
    seq = recorded.newest(dataset["id"]).seq
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r2")
    assert "'old'" in str(caught.value.error_dict["parts"])
    assert recorded.newest(dataset["id"]).seq == seq


def test_todays_schema_has_the_last_word(editor_and_changed: Any):
    editor, dataset = editor_and_changed
    call("package_patch", id=dataset["id"], name="ours-in-the-past")
    call("package_patch", id=dataset["id"], name="ours-now")
    factories.Dataset(name="ours-in-the-past")
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r3", parts=["name"])
    assert list(caught.value.error_dict) == ["name"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"revision_ref": "r9"}, tk.ObjectNotFound),
        ({"revision_ref": ""}, tk.ValidationError),
        ({}, tk.ValidationError),
        ({"revision_ref": "r1", "parts": []}, tk.ValidationError),
        ({"revision_ref": "r1", "parts": "fields"}, tk.ValidationError),
        ({"revision_ref": "r1", "parts": [3]}, tk.ValidationError),
        ({"revision_ref": "r1", "parts": ["titel"]}, tk.ValidationError),
        ({"revision_ref": "r1", "version_message": "x" * 1001}, tk.ValidationError),
    ],
    ids=str,
)
def test_bad_input_changes_nothing(editor_and_changed: Any, given: dict[str, Any], problem: type[Exception]):
    editor, dataset = editor_and_changed
    with pytest.raises(problem):
        call("dataset_revert", editor, dataset=dataset["id"], **given)
    assert recorded.newest(dataset["id"]).seq == 2
