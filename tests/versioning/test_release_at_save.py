"""`version_release`: what is saved becomes a release."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import ckantoolkit as tk
import pytest
from bs4 import BeautifulSoup
from ckan import model
from ckan.tests import helpers

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call
from tests.versioning.test_message_field import filled_in, send

pytestmark = pytest.mark.usefixtures("with_plugins")


def released(dataset: dict[str, Any]) -> dict[str, int]:
    """Names of the dataset's releases, oldest first, with their revisions."""
    listed = reversed(call("dataset_release_list", dataset=dataset["id"]))
    return {release["name"]: release["seq"] for release in listed}


def test_every_way_to_save_takes_it(portal: Portal):
    editor, other = editor_and_dataset()
    made = portal.action(
        "package_create", editor, name="released-at-once", owner_org=other["owner_org"], version_release=True
    )
    id = made["id"]
    portal.action("package_patch", editor, id=id, title="T", version_release="true")
    portal.action("resource_create", editor, package_id=id, url="http://x/a", version_release=True)
    named = {"version_release": True, "version_release_name": "spring"}
    portal.action("package_revise", editor, match={"id": id}, update={"title": "U", **named})
    shown = portal.action("package_show", editor, id=id)
    assert "version_release" not in str(shown)
    # Nothing changes: it is what is there that gets the name.
    portal.action("package_update", editor, **{**shown, **named, "version_release_name": "summer"})
    portal.action("resource_delete", editor, id=shown["resources"][0]["id"], version_release=False)
    assert released(made) == {"v1": 1, "v1.1": 2, "v2": 3, "spring": 4, "summer": 4}
    assert recorded.newest(id).seq == 5


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"version_release_name": "v2"}, "version_release", "Choose this too"),
        ({"version_release": True, "version_release_name": "r1"}, "version_release_name", "another way"),
        ({"version_release": True, "version_release_name": "spring"}, "version_release_name", "already has"),
        ({"version_release": True, "version_release_name": "v1"}, "version_release_name", "was deleted"),
        ({"version_release": True}, "version_release_name", "does not end in a number"),
        ({"version_release": True, "version_release_name": 7}, "version_release_name", "as text"),
    ],
    ids=str,
)
def test_what_is_wrong_with_it_is_told_before_anything_is_saved(given: Any, field: str, says: str):
    editor, dataset = editor_and_dataset(title="Before")
    for name in ("v1", "spring"):
        call("dataset_release_create", dataset=dataset["id"], name=name)
    call("dataset_release_delete", dataset=dataset["id"], release="v1")
    with pytest.raises(tk.ValidationError, match=says) as caught:
        call("package_patch", editor, id=dataset["id"], title="After", **given)
    assert list(caught.value.error_dict) == [field]
    assert recorded.stored_title(dataset["id"]) == "Before"


def test_who_may_not_save_releases_nothing():
    _, dataset = editor_and_dataset()
    stranger, _ = editor_and_dataset()
    for user in (stranger, ""):
        with pytest.raises(tk.NotAuthorized):
            call("package_patch", user, id=dataset["id"], title="T", version_release=True)
    assert released(dataset) == {}


def test_what_is_committed_later_cannot_be_released_yet():
    _, dataset = editor_and_dataset()
    context = {"defer_commit": True, "return_id_only": True}
    with pytest.raises(tk.ValidationError, match="after that"):
        helpers.call_action("package_patch", context, id=dataset["id"], title="T", version_release=True)
    model.Session.rollback()


def test_many_at_once_release_what_they_saved_and_nobody_elses(app: Any):
    editor, dataset = editor_and_dataset()
    barrier = Barrier(4)

    def save(turn: int) -> str:
        wish = {"version_release": True, "version_release_name": "v7" if turn % 2 else ""}
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                message = f"by {turn}"
                call(
                    "package_patch", editor, id=dataset["id"], title=message, version_message=message, **wish
                )
                return "released"
            except tk.ValidationError as error:
                return str(error.error_dict["version_release_name"])
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(save, range(4)))
    assert answers.count("released") == 3
    messages = {row.seq: row.message for row in recorded.revisions(dataset["id"])}
    made = released(dataset)
    assert len(made) == 3
    assert messages[made.pop("v7")] in {f"by {turn}" for turn in (1, 3) if answers[turn] == "released"}
    assert {messages[seq] for seq in made.values()} == {"by 0", "by 2"}


def test_the_forms_offer_it(portal: Portal):
    editor, dataset = editor_and_dataset(resources=[{"url": "http://x/a", "name": "a"}])
    call("dataset_release_create", dataset=dataset["id"], name="1.0")
    url = f"/dataset/{dataset['id']}/resource/{dataset['resources'][0]['id']}/edit"
    page = BeautifulSoup(portal.get(url, editor).body, "html.parser")
    (label,) = page.select("label[for=field-version-release]")
    assert label.get_text().strip() == "Make this a release: 1.1, or 2.0 if files have changed"
    fields = {**filled_in(portal, url, editor), "name": "b"}
    assert fields.pop("version_release") == "true"
    assert fields["version_release_name"] == ""
    forgotten = send(portal, url, editor, {**fields, "version_release_name": "mine"})
    page = BeautifulSoup(forgotten.body, "html.parser")
    assert "Choose this too" in page.select("label[for=field-version-release]")[0].get_text()
    taken = send(portal, url, editor, {**fields, "version_release": "true", "version_release_name": "1.0"})
    page = BeautifulSoup(taken.body, "html.parser")
    assert page.select("#field-version-release[checked]")
    assert page.select("#field-version-release-name")[0]["value"] == "1.0"
    assert "already has a release" in taken.body
    assert recorded.newest(dataset["id"]).seq == 1
    assert send(portal, url, editor, {**fields, "version_release": "true"}).status_code == 302

    url = f"/dataset/edit/{dataset['id']}"
    fields = {**filled_in(portal, url, editor), "title": "T", "version_release_name": "next"}
    assert send(portal, url, editor, fields).status_code == 302
    assert released(dataset) == {"1.0": 1, "1.1": 2, "next": 3}
