"""A deleted dataset: who could read it before is told that it is gone, with 410; nobody else hears of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk
import pytest
from bs4 import BeautifulSoup
from ckan.tests import factories

from ckanext.versioning.withdrawal import Withdrawn
from tests.portal import Portal, editor_and_dataset, standing
from tests.versioning.recorded import call


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


def addresses(dataset: dict[str, Any], key: str) -> list[str]:
    resource = dataset["resources"][0]["id"]
    rest = ["", "/versions", "/v/v1", "/v/r1", "/v/nonsense", f"/v/v1/resource/{resource}/download/x.csv"]
    return [f"/dataset/{dataset[key]}{end}" for end in rest]


def statuses(portal: Portal, dataset: dict[str, Any], user: Any, key: str = "id") -> set[int]:
    return {portal.get(url, user, follow_redirects=False).status_code for url in addresses(dataset, key)}


READING = {
    "dataset_revision_list": lambda id: {"id": id},
    "dataset_revision_show": lambda id: {"id": id, "ref": "v1"},
    "dataset_release_list": lambda id: {"dataset": id},
    "dataset_release_create": lambda id: {"dataset": id, "name": "v2"},
    "package_show": lambda id: {"id": id, "revision_ref": "v1"},
}


def types(portal: Portal, dataset: dict[str, Any], user: Any) -> set[str]:
    """``__type`` of the API's 404 for each action."""
    calls = [(name, data(dataset["id"])) for name, data in READING.items()]
    calls.append(("resource_show", {"id": dataset["resources"][0]["id"], "revision_ref": "v1"}))
    return {portal.action(name, user, status=404, **data)["__type"] for name, data in calls}


@pytest.fixture
def editor_dataset(portal: Portal) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset with the release v1 and a file, public."""
    editor, dataset = editor_and_dataset(title="Rivers, first survey")
    portal.publish(editor, dataset, b"a,b\n1,2\n")
    call(
        "dataset_release_create",
        editor,
        dataset=dataset["id"],
        name="v1",
        title="As surveyed",
        doi="10.1234/rivers",
    )
    return editor, call("package_patch", editor, id=dataset["id"], title="Rivers", notes="Last words.")


def test_those_who_could_read_it_find_a_tombstone(portal: Portal, editor_dataset: Any):
    editor, dataset = editor_dataset
    call("package_delete", editor, id=dataset["id"])
    for reader, key in ((None, "id"), (factories.UserWithToken(), "name")):
        assert statuses(portal, dataset, reader, key) == {410}
        assert types(portal, dataset, reader) == {"Withdrawn Error"}
    # Who may still read it goes on as usual.
    for end in ("", "/versions", "/v/v1"):
        assert portal.get(f"/dataset/{dataset['name']}{end}", editor).status_code == 200


def test_what_the_tombstone_says(portal: Portal, editor_dataset: Any):
    editor, dataset = editor_dataset
    call("package_delete", editor, id=dataset["id"])
    call("package_patch", editor, id=dataset["id"], title="Not for the public")
    for url in addresses(dataset, "name")[::2]:
        response = portal.get(url, follow_redirects=False)
        assert "private" in response.headers["Cache-Control"]
        document = BeautifulSoup(response.body, "html.parser")
        (heading,) = document.select("h1")
        assert heading.get_text() == "Rivers"
        text = " ".join(document.select(".primary")[0].get_text().split())
        assert "This dataset was deleted. Deleted on" in text
        assert "v1: As surveyed · https://doi.org/10.1234/rivers" in text
        assert "Not for the public" not in response.body
        assert "Last words" not in response.body
        deleted = call("dataset_revision_list", editor, id=dataset["id"], all=True)[1]["created"]
        assert document.select_one(".primary time").get("datetime")[:19] == deleted[:19]  # pyright: ignore


def test_what_was_private_answers_as_if_it_had_never_been(portal: Portal, editor_dataset: Any):
    editor, dataset = editor_dataset
    call("package_patch", editor, id=dataset["id"], private=True)
    call("package_delete", editor, id=dataset["id"])
    assert statuses(portal, dataset, None) == {404}
    assert types(portal, dataset, None) == {"Not Found Error"}
    missing = portal.action("dataset_release_list", status=404, dataset="no-such-dataset")
    assert portal.action("dataset_release_list", status=404, dataset=dataset["id"]) == missing


def test_restored_it_is_there_again_and_purged_nothing_is_left(portal: Portal, editor_dataset: Any):
    editor, dataset = editor_dataset
    call("package_delete", editor, id=dataset["id"])
    call("package_patch", editor, id=dataset["id"], state="active")
    assert portal.get(f"/dataset/{dataset['name']}/v/v1").status_code == 200
    call("package_delete", editor, id=dataset["id"])
    assert portal.get(f"/dataset/{dataset['name']}/v/v1").status_code == 410
    call("dataset_purge", id=dataset["id"])
    assert statuses(portal, dataset, None) == {404}
    assert types(portal, dataset, None) == {"Not Found Error"}


def test_for_callers_in_ckan_it_is_not_found(portal: Portal):
    _, dataset = editor_and_dataset()
    call("package_delete", id=dataset["id"])
    with pytest.raises(tk.ObjectNotFound) as caught:
        call("dataset_revision_list", "", id=dataset["id"])
    assert isinstance(caught.value, Withdrawn)
    assert caught.value.title == dataset["title"]


def test_other_pages_that_are_not_found_stay_as_they_are(portal: Portal):
    _, dataset = editor_and_dataset()
    call("package_delete", id=dataset["id"])
    for url in ("/dataset/no-such-dataset", f"/organization/{dataset['id']}", "/no/such/page"):
        assert portal.get(url).status_code == 404
