"""Whoever may see a revision may read its bytes, by whichever door; to know a sha256 opens nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz
from ckan.tests import factories, helpers

from tests.authz_service.site import granted
from tests.portal import Portal, editor_and_dataset, oid_of, organization, path, pointer, standing
from tests.statements import statements
from tests.versioning.recorded import call

FIRST, SECOND, THIRD = b"while private\n", b"published\n", b"now\n"


def scopes(dataset: dict[str, Any], *contents: bytes) -> list[str]:
    return [f"obj:{organization(dataset)}/{dataset['name']}/{oid_of(data)}:read" for data in contents]


class Doors:
    """All ways to the bytes of one resource's revisions; *user* is a dict, None for nobody."""

    def __init__(self, portal: Portal, dataset: dict[str, Any], resource: dict[str, Any]):
        self.portal, self.dataset, self.resource = portal, dataset, resource

    def open(self, user: Any, refs: dict[str, bytes]) -> set[str]:
        """Those of *refs* (→ content then) whose bytes *user* gets by every door; the others by none."""
        found = {ref for ref, data in refs.items() if self._page(user, ref, data)}
        assert {ref for ref, data in refs.items() if self._lfs(user, data)} == found
        asked = scopes(self.dataset, *refs.values())
        assert set(granted(user and user["name"], *asked)) == set(
            scopes(self.dataset, *(refs[ref] for ref in found))
        )
        return found

    def _page(self, user: Any, ref: str, data: bytes) -> bool:
        url = f"/dataset/{self.dataset['id']}/v/{ref}/resource/{self.resource['id']}/download/x.csv"
        response = self.portal.get(url, user)
        assert (response.status_code, response.data if response.status_code == 200 else None) in (
            (200, data),
            (404, None),
        )
        return response.status_code == 200

    def _lfs(self, user: Any, data: bytes) -> bool:
        """git-lfs with a token for exactly this file."""
        answer = self.portal.action("authz_authorize", user, scopes=scopes(self.dataset, data))
        if not answer["token"]:
            return False
        (object,) = self.portal.batch(self.dataset, answer["token"], "download", pointer(data))
        download = object["actions"]["download"]
        assert self.portal.app.get(path(download["href"]), headers=download["header"]).data == data
        return True


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def editor_dataset(portal: Portal) -> tuple[dict[str, Any], dict[str, Any], Doors]:
    """Private with FIRST in r2 and SECOND in r3; public with SECOND in r4 and THIRD in r5."""
    editor, dataset = editor_and_dataset(private=True)
    resource = portal.publish(editor, dataset, FIRST)

    def replace(data: bytes) -> None:
        oid = portal.push(editor, dataset, data)
        portal.action("resource_patch", editor, id=resource["id"], sha256=oid, url="data.csv")

    replace(SECOND)
    call("package_patch", id=dataset["id"], private=False)
    replace(THIRD)
    return editor, dataset, Doors(portal, dataset, resource)


REFS = {"r2": FIRST, "r4": SECOND, "r5": THIRD}


def test_bytes_follow_their_revisions(editor_dataset: Any):
    editor, dataset, doors = editor_dataset
    reader = factories.UserWithToken()
    assert doors.open(editor, REFS) == {"r2", "r4", "r5"}
    assert doors.open(reader, REFS) == {"r4", "r5"}

    def for_editors() -> Any:
        return helpers.changed_config("ckanext.versioning.unreleased_history", "editors")

    with for_editors():
        assert doors.open(editor, REFS) == {"r2", "r4", "r5"}
        assert doors.open(reader, REFS) == {"r5"}
    call("dataset_release_create", dataset=dataset["id"], name="v1", revision_ref="r2")
    assert doors.open(None, REFS) == {"r2", "r4", "r5"}
    with for_editors():
        assert doors.open(None, REFS) == {"r2", "r5"}
    # Whoever may not read the dataset now gets nothing of it.
    call("package_patch", id=dataset["id"], private=True)
    assert doors.open(None, REFS) == set()


def close(monkeypatch: pytest.MonkeyPatch, resource_ids: Iterable[str]) -> None:
    """As plugins do that restrict single resources: readers do not see these."""
    core: Any = authz._AuthFunctions.get("resource_show")
    closed = set(resource_ids)

    def show(context: Any, data_dict: Any) -> Any:
        return {"success": False} if data_dict["id"] in closed else core(context, data_dict)

    shown = tk.auth_allow_anonymous_access(show)
    monkeypatch.setitem(authz._AuthFunctions._functions, "resource_show", shown)


def test_a_closed_resource_is_closed_in_old_revisions_too(
    portal: Portal, editor_dataset: Any, monkeypatch: pytest.MonkeyPatch
):
    editor, dataset, doors = editor_dataset
    reader = factories.UserWithToken()
    close(monkeypatch, [doors.resource["id"]])
    assert doors.open(reader, REFS) == set()
    # Another resource with the same bytes is another way to them, also once it had them.
    other = portal.publish(editor, dataset, SECOND, "open.csv")
    portal.action("resource_delete", editor, id=other["id"])
    portal.publish(editor, dataset, FIRST, "open.csv")
    assert granted(None, *scopes(dataset, FIRST, SECOND, THIRD)) == scopes(dataset, FIRST, SECOND)
    # Of a resource that the dataset does not have any more there is nobody to ask about.
    call("resource_delete", id=doors.resource["id"])
    assert granted(None, *scopes(dataset, THIRD)) == scopes(dataset, THIRD)


def test_what_it_takes_to_ask_for_files(portal: Portal, editor_dataset: Any):
    editor, dataset, _ = editor_dataset
    # What was brought into the dataset, and is in no revision, is for those who may update it.
    kept_back = b"never published\n"
    portal.push(editor, dataset, kept_back)
    assert granted(None, *scopes(dataset, kept_back)) == []
    assert granted(editor["name"], *scopes(dataset, kept_back)) == scopes(dataset, kept_back)

    def cost(*contents: bytes) -> int:
        with statements() as sent:
            assert granted(None, *scopes(dataset, *contents)) == scopes(dataset, *contents)
        return len(sent)

    assert cost(SECOND, THIRD) == cost(THIRD)
