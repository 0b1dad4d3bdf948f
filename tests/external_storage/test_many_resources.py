"""Many uploaded files become resources of a dataset in one save: one ``package_revise``."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.external_storage.test_upload_ids import unfinished, upload
from tests.portal import Portal, editor_and_dataset, oid_of, standing


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


def rows(editor, dataset, number: int) -> list[dict[str, Any]]:
    """As the browser sends them: the last ones come first by name."""
    return [
        {
            "upload_id": upload(editor, f"id\n{uuid.uuid4()}\n".encode(), dataset, filename=f"{place}.csv"),
            "url": f"{place}.csv",
            "url_type": "upload",
            "name": f"Table {number - place}",
            "format": "CSV",
        }
        for place in range(number)
    ]


def save(portal: Portal, editor, dataset, resources: list[Any], status: int = 200, **update: Any) -> Any:
    more = {"update": update} if update else {}
    return portal.action(
        "package_revise",
        editor,
        status,
        match={"id": dataset["id"]},
        update__resources__extend=resources,
        **more,
    )


def versions(portal: Portal, editor, dataset) -> int:
    return portal.action("dataset_revision_list", editor, id=dataset["id"])[0]["seq"]


@pytest.mark.parametrize("kind", [{}, {"private": True}, {"state": "draft"}], ids=str)
def test_one_save_makes_one_version_in_the_order_given(portal: Portal, kind):
    """A draft is published by the same save, as the last button of CKAN's own form does."""
    editor, dataset = editor_and_dataset(**kind)
    link = {"url": "https://a.example", "name": "First"}
    portal.action("resource_create", editor, package_id=dataset["id"], **link)
    before, given = versions(portal, editor, dataset), rows(editor, dataset, 20)
    saved = save(portal, editor, dataset, given, **({"state": "active"} if "state" in kind else {}))[
        "package"
    ]
    assert [r["name"] for r in saved["resources"]] == ["First", *(row["name"] for row in given)]
    assert versions(portal, editor, dataset) == before + 1
    assert (saved["state"], saved["private"]) == ("active", kind.get("private", False))
    last = saved["resources"][-1]
    assert (last["format"], last["url"].rsplit("/")[-1]) == ("CSV", "19.csv")
    assert oid_of(portal.get(last["url"], editor).data) == last["sha256"]


def test_one_that_is_wrong_is_named_and_the_others_can_be_saved(portal: Portal):
    """By its place among all resources of the dataset. Nothing is saved meanwhile."""
    editor, dataset = editor_and_dataset()
    save(portal, editor, dataset, rows(editor, dataset, 2))
    given = rows(editor, dataset, 3)
    given[1]["upload_id"] = unfinished(editor, dataset, "open")
    problems = save(portal, editor, dataset, given, 409)["resources"]
    assert [bool(problem) for problem in problems] == [False, False, False, True, False]
    assert "not arrived completely" in problems[3]["upload_id"][0]
    del given[1]
    saved = save(portal, editor, dataset, given)["package"]
    assert [r["url"].rsplit("/")[-1] for r in saved["resources"]] == ["0.csv", "1.csv", "0.csv", "2.csv"]


def test_files_of_the_same_content_keep_their_names(portal: Portal):
    """They may have come in one upload, which has one name; a new resource says its own."""
    editor, dataset = editor_and_dataset()
    id = upload(editor, f"id\n{uuid.uuid4()}\n".encode(), dataset, filename="a.csv")
    given = [{"upload_id": id, "url_type": "upload", "url": name} for name in ("a.csv", "b.txt")]
    saved = save(portal, editor, dataset, [*given, {"upload_id": id}])["package"]["resources"]
    assert [r["url"].rsplit("/")[-1] for r in saved] == ["a.csv", "b.txt", "a.csv"]
    assert [r["mimetype"] for r in saved] == ["text/csv", "text/plain", "text/csv"]
    given = {"id": saved[1]["id"], "url": saved[1]["url"], "upload_id": id}
    assert portal.action("resource_update", editor, **given)["url"].endswith("/a.csv"), "another file"
