"""What was pushed becomes resources: path → file, all in one save."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from ckanext.external_storage import pushed_files
from tests.external_storage.test_upload_ids import unfinished, upload
from tests.portal import Portal, editor_and_dataset, oid_of, standing

OID = "a" * 64


class TestPaths:
    @pytest.mark.parametrize("path", ["a.csv", "data/2024/é ü.csv", "a b/c", "x" * 500, "...", ".gitignore"])
    def test_of_files_in_folders(self, path):
        assert pushed_files.problems([{"path": path, "oid": OID}]) == [{}]

    @pytest.mark.parametrize(
        "path",
        [None, 1, "", "/a", "a/", "a//b", "../a", "a/../b", ".", "a\\b", "a\nb", "a\u202eb", "x" * 501],
    )
    def test_others(self, path):
        assert "path" in pushed_files.problems([{"path": path, "oid": OID}])[0]

    def test_twice(self):
        file = {"path": "a", "oid": OID}
        assert [bool(problem) for problem in pushed_files.problems([file, file])] == [False, True]

    @pytest.mark.parametrize(
        "named", [{}, {"oid": "x"}, {"oid": OID, "upload_id": "x"}, {"oid": OID.upper()}, {"oid": 1}], ids=str
    )
    def test_files_are_named_once(self, named):
        assert "oid" in pushed_files.problems([{"path": "a", **named}])[0]

    def test_what_is_no_file(self):
        assert all(pushed_files.problems(["a", None, 1]))


@pytest.fixture(scope="module")
def site() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


def test_files_take_their_places(site):
    editor, dataset = editor_and_dataset()
    old = [uuid.uuid4().bytes for _ in range(3)]
    site.publish(editor, dataset, old[0], "b.csv")
    link = site.action(
        "resource_create", editor, package_id=dataset["id"], url="https://example.org/", name="c"
    )
    new = {path: uuid.uuid4().bytes for path in ("a.csv", "b.csv", "folder/é b.csv")}
    files = [{"path": path, "oid": site.push(editor, dataset, data)} for path, data in new.items()]
    answer = site.action("external_storage_add_files", editor, package_id=dataset["name"], files=files)
    assert [(file["path"], file["oid"], file["size"]) for file in answer] == [
        (path, oid_of(data), 16) for path, data in new.items()
    ]
    resources = site.action("package_show", editor, id=dataset["id"])["resources"]
    assert [resource["name"] for resource in resources] == [None, "c", "a.csv", "folder/é b.csv"]
    assert [resource["id"] for resource in resources][2:] == [
        answer[0]["resource_id"],
        answer[2]["resource_id"],
    ]
    assert resources[1]["id"] == link["id"]
    assert [site.get(resources[place]["url"]).data for place in (0, 2, 3)] == [
        new["b.csv"], new["a.csv"], new["folder/é b.csv"]
    ]  # fmt: skip
    # Again, with one of them changed: no resource is added, and it is one version each time.
    changed = {"path": "folder/é b.csv", "oid": site.push(editor, dataset, b"changed" + old[1])}
    again = site.action(
        "external_storage_add_files", editor, package_id=dataset["id"], files=[*files[:2], changed]
    )
    assert [file["resource_id"] for file in again] == [file["resource_id"] for file in answer]
    revisions = site.action("dataset_revision_list", editor, id=dataset["id"], all=True)
    assert [revision["seq"] for revision in revisions] == [5, 4, 3, 2, 1]


def test_one_wrong_file_changes_nothing_and_is_named(site):
    editor, dataset = editor_and_dataset()
    right = {"path": "a.csv", "oid": site.push(editor, dataset, uuid.uuid4().bytes)}
    files = [right, {"path": "b.csv", "oid": OID}]
    error = site.action("external_storage_add_files", editor, 409, package_id=dataset["id"], files=files)
    assert error["files"][0] == {}
    assert "Upload the file" in error["files"][1]["oid"][0]
    assert site.action("package_show", editor, id=dataset["id"])["resources"] == []
    many = [right] * (pushed_files.MAX_FILES + 1)
    error = site.action("external_storage_add_files", editor, 409, package_id=dataset["id"], files=many)
    assert str(pushed_files.MAX_FILES) in error["files"][0]


def test_files_that_a_browser_sent_take_their_places(site):
    """By the upload's id: a verified one; one that is still on its way is refused and named."""
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    done, under_way = upload(editor, data, dataset), unfinished(editor, dataset, "open")
    files = [{"path": "a.csv", "upload_id": done}, {"path": "b.csv", "upload_id": under_way}]
    given = {"package_id": dataset["id"], "files": files}
    error = site.action("external_storage_add_files", editor, 409, **given)
    assert (error["files"][0], list(error["files"][1])) == ({}, ["upload_id"])
    (added,) = site.action(
        "external_storage_add_files",
        editor,
        package_id=dataset["id"],
        files=[{"path": "a.csv", "upload_id": done}],
    )
    assert (added["path"], added["oid"], added["size"]) == ("a.csv", oid_of(data), 16)
    (resource,) = site.action("package_show", editor, id=dataset["id"])["resources"]
    assert (resource["name"], resource["id"]) == ("a.csv", added["resource_id"])
    assert site.get(resource["url"]).data == data


def test_who_may_not(site):
    editor, dataset = editor_and_dataset()
    _, private = editor_and_dataset(private=True)
    site.action("external_storage_add_files", None, 403, package_id=dataset["id"], files=[])
    site.action("external_storage_add_files", editor, 404, package_id=private["id"], files=[])
    site.action("external_storage_add_files", editor, 404, package_id="no-such-dataset", files=[])
    site.action("external_storage_add_files", editor, 409, files=[])
