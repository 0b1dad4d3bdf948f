from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning.changes import Change, Known, KnownBlob, KnownResource, compare, moved
from ckanext.versioning.snapshot import Blob, split

ONE, TWO = "1" * 64, "2" * 64


def dataset(*resources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    numbered = [{**resource, "position": place} for place, resource in enumerate(resources)]
    return {"id": "p", "title": "t", "extras": [], "tags": [], "groups": [], **fields, "resources": numbered}


def stored(id: str, oid: str = ONE, **fields: Any) -> dict[str, Any]:
    return {"id": id, "url_type": "upload", "sha256": oid, "size": 3, **fields}


def link(id: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "url_type": None, "url": "http://x", **fields}


def known(change: Change, before: Known | None = None) -> Known:
    """What the database would say of the revision that *change* made."""

    def blob(new: Blob | None, id: str) -> KnownBlob:
        if new:
            return KnownBlob(new.salt, new.projection_sha)
        assert before
        return before.resources[id].blob

    return Known(
        text=change.dataset.text,
        blob=KnownBlob(change.dataset.salt, change.dataset.projection_sha),
        resources={
            s.resource_id: KnownResource(s.position, s.meta_sha, s.oid, s.size, blob(s.blob, s.resource_id))
            for s in change.resources
        },
    )


def first(state: dict[str, Any]) -> Known:
    change = compare(split(state), None)
    assert change
    return known(change)


def test_the_first_revision_has_everything():
    change = compare(split(dataset(stored("a"), link("b"))), None)
    assert change
    assert change.ended == []
    assert [(s.resource_id, s.position, s.oid, s.size, s.kept) for s in change.resources] == [
        ("a", 0, ONE, 3, False),
        ("b", 1, None, None, False),
    ]
    assert all(s.blob and s.blob.sha == s.meta_sha for s in change.resources)
    empty: dict[str, list[str]] = {"removed": [], "metadata": [], "bytes": [], "moved": []}
    assert change.summary == {"fields": [], "extras": [], "resources": {"added": ["a", "b"], **empty}}


def test_the_same_content_is_no_change():
    before = first(dataset(stored("a"), link("b")))
    same = dataset(stored("a", datastore_active=True), link("b", last_modified="x"), metadata_modified="2027")
    assert compare(split(same), before) is None


def test_only_what_changed_is_written():
    before = first(dataset(stored("a"), link("b"), link("c")))
    after = dataset(stored("a", oid=TWO), link("b"), link("c", name="new"), title="T")
    change = compare(split(after), before)
    assert change
    assert {s.resource_id: (s.kept, s.blob is None) for s in change.resources} == {
        "a": (False, False),
        "b": (True, True),
        "c": (False, False),
    }
    assert sorted(change.ended) == ["a", "c"]
    b = change.resources[1]
    assert b.meta_sha == before.resources["b"].meta_sha
    assert change.summary["fields"] == ["title"]
    assert change.summary["resources"]["bytes"] == ["a"]
    assert change.summary["resources"]["metadata"] == ["c"]


def test_a_moved_resource_has_a_new_row_and_its_old_body():
    before = first(dataset(link("a"), link("b"), link("c")))
    change = compare(split(dataset(link("c"), link("a"), link("b"))), before)
    assert change
    assert [(s.resource_id, s.position, s.kept, s.blob) for s in change.resources] == [
        ("c", 0, False, None),
        ("a", 1, False, None),
        ("b", 2, False, None),
    ]
    assert [s.meta_sha for s in change.resources] == [before.resources[id].meta_sha for id in "cab"]
    assert change.summary["resources"]["moved"] == ["c"]


def test_after_a_removal_the_others_have_new_places_but_did_not_move():
    before = first(dataset(link("a"), link("b"), link("c")))
    change = compare(split(dataset(link("b"), link("c"))), before)
    assert change
    assert sorted(change.ended) == ["a", "b", "c"]
    assert change.summary["resources"]["removed"] == ["a"]
    assert change.summary["resources"]["moved"] == []


def test_removing_the_last_resource_is_a_change():
    before = first(dataset(link("a"), link("b")))
    change = compare(split(dataset(link("a"))), before)
    assert change
    assert change.ended == ["b"]
    assert change.resources[0].kept


def test_extras_are_named_by_key():
    before = first(dataset(extras=[{"key": "k", "value": "1"}, {"key": "gone", "value": "x"}]))
    change = compare(split(dataset(extras=[{"key": "k", "value": "2"}, {"key": "new", "value": ""}])), before)
    assert change
    assert (change.summary["fields"], change.summary["extras"]) == ([], ["gone", "k", "new"])


def test_several_steps_compare_with_the_last():
    one = first(dataset(link("a"), link("b")))
    step = compare(split(dataset(link("a", name="n"), link("b"))), one)
    assert step
    two = known(step, one)
    assert compare(split(dataset(link("a", name="n"), link("b"))), two) is None
    back = compare(split(dataset(link("a"), link("b"))), two)
    assert back
    assert back.ended == ["a"]


@pytest.mark.parametrize("part", ["dataset", "resource"])
def test_a_redacted_body_counts_as_changed_and_names_nothing(part: str):
    before = first(dataset(link("a")))
    nothing = KnownBlob(None, None)
    if part == "dataset":
        before = Known(None, nothing, before.resources)
    else:
        known_a = before.resources["a"]
        before = Known(
            before.text,
            before.blob,
            {"a": KnownResource(0, known_a.meta_sha, known_a.oid, known_a.size, nothing)},
        )
    change = compare(split(dataset(link("a"))), before)
    assert change
    assert change.summary["fields"] == []
    assert change.ended == ([] if part == "dataset" else ["a"])


@given(st.permutations(range(7)), st.integers(0, 7))
def test_moved_leaves_a_longest_run_in_its_order(order: list[int], size: int):
    after = [str(n) for n in order if n < size]
    before = sorted(after)
    gone = set(moved(before, after))
    stayed = [id for id in after if id not in gone]
    assert stayed == sorted(stayed)
    longest = max(
        (len(run) for count in range(len(after) + 1) for run in _runs(after, count)),
        default=0,
    )
    assert len(stayed) == longest


def _runs(after: list[str], count: int) -> list[tuple[str, ...]]:
    from itertools import combinations

    return [run for run in combinations(after, count) if list(run) == sorted(run)]


def test_nothing_moved_in_the_same_order():
    for size in range(5):
        ids = [str(n) for n in range(size)]
        assert moved(ids, ids) == []
        assert all(moved(ids, list(order)) for order in permutations(ids) if list(order) != ids)
