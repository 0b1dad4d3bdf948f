"""What happens to a release after it was made, and what its name goes on to mean."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories, helpers

from tests.portal import Portal, editor_and_dataset
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def editor_and_released() -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset with two revisions, of which the first is v1."""
    editor, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name="v1", title="One", description="Notes")
    call("package_patch", id=dataset["id"], title="Later")
    return editor, dataset


def said(release: dict[str, Any]) -> tuple[Any, ...]:
    return release["title"], release["description"], release["doi"]


def test_what_it_was_is_kept_with_who_changed_it(portal: Portal, editor_and_released: Any):
    editor, dataset = editor_and_released
    which = {"dataset": dataset["name"], "release": "v1"}
    made = portal.action("dataset_release_show", **which)
    assert made["changes"] == []
    # As clients of ckanext-versioning call it.
    changed = portal.action("dataset_release_update", editor, **which, name="v1", description="Corrected")
    portal.action("dataset_release_update", editor, **which, doi="https://doi.org/10.1234/x", title="")
    portal.action("dataset_release_update", editor, **which, doi="10.1234/x", description=None)
    shown = portal.action("dataset_release_show", **which)
    changes = shown.pop("changes")
    assert said(changed) == ("One", "Corrected", None)
    assert said(shown) == (None, "Corrected", "10.1234/x")
    assert [said(change) for change in changes] == [("One", "Corrected", None), ("One", "Notes", None)]
    assert {change["author"]["id"] for change in changes} == {editor["id"]}
    assert changes[0]["created"] > changes[1]["created"] > shown["created"] == made["created"]
    assert portal.action("dataset_release_list", dataset=dataset["id"]) == [shown]


def test_it_keeps_its_name(editor_and_released: Any):
    _, dataset = editor_and_released
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_release_update", dataset=dataset["id"], release="v1", name="v2", title="New")
    assert list(caught.value.error_dict) == ["name"]
    assert call("dataset_release_show", dataset=dataset["id"], release="v1")["title"] == "One"


def test_the_name_of_a_deleted_one_goes_on_to_mean_the_same_revision(editor_and_released: Any):
    _, dataset = editor_and_released
    call("dataset_release_delete", dataset=dataset["id"], release="v1")
    for action in ("dataset_release_show", "dataset_release_update", "dataset_release_delete"):
        with pytest.raises(tk.ObjectNotFound):
            call(action, dataset=dataset["id"], release="v1")
    with pytest.raises(tk.ObjectNotFound):
        call("package_show", id=dataset["id"], revision_ref="v1")
    with pytest.raises(tk.ValidationError, match="choose another name") as caught:
        call("dataset_release_create", dataset=dataset["id"], name="v1")
    assert list(caught.value.error_dict) == ["name"]
    assert call("dataset_release_next", dataset=dataset["id"])["name"] == "v2"
    call("dataset_release_create", dataset=dataset["id"], name="v1", revision_ref="r1")
    (change,) = call("dataset_release_show", dataset=dataset["id"], release="v1")["changes"]
    assert (change["deleted"], change["description"]) == (True, "Notes")


def test_who_saw_a_version_by_its_release_sees_it_no_longer():
    _, dataset = editor_and_dataset(private=True)
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    call("package_patch", id=dataset["id"], private=False)
    reader = factories.User()
    assert call("package_show", reader, id=dataset["id"], revision_ref="r1")["private"]
    call("dataset_release_delete", dataset=dataset["id"], release="v1")
    with pytest.raises(tk.ObjectNotFound):
        call("package_show", reader, id=dataset["id"], revision_ref="r1")


def test_without_an_organisation_the_creator_deletes():
    creator, other = factories.User(), factories.User()
    dataset = factories.Dataset(user=creator)
    with helpers.changed_config("ckan.auth.create_unowned_dataset", True):
        for name, who in (("v1", creator), ("v2", factories.Sysadmin())):
            call("dataset_release_create", other, dataset=dataset["id"], name=name)
            with pytest.raises(tk.NotAuthorized):
                call("dataset_release_delete", other, dataset=dataset["id"], release=name)
            call("dataset_release_delete", who, dataset=dataset["id"], release=name)


def at_once(app: Any, *calls: Callable[[], Any]) -> list[Any]:
    """What each call returned, or its error's ``error_dict``; all begin together."""
    barrier = Barrier(len(calls))

    def run(function: Callable[[], Any]) -> Any:
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                return function()
            except tk.ValidationError as error:
                return error.error_dict
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_changes_at_once_are_all_kept(app: Any, editor_and_released: Any):
    _, dataset = editor_and_released
    which = {"dataset": dataset["id"], "release": "v1"}
    at_once(
        app,
        *(lambda turn=turn: call("dataset_release_update", **which, title=str(turn)) for turn in range(4)),
    )
    shown = call("dataset_release_show", **which)
    titles = [shown["title"], *(change["title"] for change in shown["changes"])]
    assert titles[-1] == "One"
    assert sorted(titles[:-1]) == ["0", "1", "2", "3"]


def test_one_name_given_to_two_revisions_at_once(app: Any, editor_and_released: Any):
    _, dataset = editor_and_released
    refs = ("r1", "r2", "r1", "r2")
    answers = at_once(
        app,
        *(
            lambda ref=ref: call("dataset_release_create", dataset=dataset["id"], name="v2", revision_ref=ref)
            for ref in refs
        ),
    )
    (made,) = (answer for answer in answers if "seq" in answer)
    assert [list(answer) for answer in answers if answer is not made] == [["name"]] * 3
    assert call("dataset_release_show", dataset=dataset["id"], release="v2")["seq"] == made["seq"]


def test_the_next_number():
    _, dataset = editor_and_dataset()
    resource = call("resource_create", package_id=dataset["id"], url="http://x/a")

    def following(**ref: str) -> tuple[str, str, str]:
        found = call("dataset_release_next", dataset=dataset["id"], **ref)
        return found["name"], found["change"], found["since"]

    assert following() == ("v1", None, None)
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    call("resource_patch", id=resource["id"], name="Only described")
    assert following() == ("v1.1", "metadata", "v1")
    call("resource_patch", id=resource["id"], url="http://x/b")
    assert following() == ("v2", "files", "v1")
    assert following(revision_ref="head~1") == ("v1.1", "metadata", "v1")
    assert following(revision_ref="r1") == ("v2", "files", "v1"), "the resource was not there"


@pytest.mark.parametrize("field", ["title", "description"])
def test_texts_have_limits(editor_and_released: Any, field: str):
    _, dataset = editor_and_released
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_release_update", dataset=dataset["id"], release="v1", **{field: "x" * 20_001})
    assert list(caught.value.error_dict) == [field]
