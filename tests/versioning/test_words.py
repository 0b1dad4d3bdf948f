"""What pages say that a change was."""

from __future__ import annotations

from gettext import NullTranslations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning import words

KINDS = ["added", "removed", "bytes", "metadata", "moved"]


def summary(fields: list[str] | None = None, extras: list[str] | None = None, **resources: Any) -> Any:
    """``added="ab"`` stands for the resources a and b."""
    return {
        "fields": fields or [],
        "extras": extras or [],
        "resources": {kind: list(resources.get(kind, [])) for kind in KINDS},
    }


def told(change: dict[str, Any], **options: Any) -> list[str]:
    names = {id: f"File {id.upper()}" for id in "abcdefg"}
    return words.sentences(change, names, NullTranslations(), **options)


@pytest.mark.parametrize(
    ("change", "sentences"),
    [
        (summary(["title"]), ["Changed: title."]),
        (summary(["license_id", "notes", "owner_org"]), ["Changed: license, description, organization."]),
        # Name and address of one person are one question to a publisher.
        (summary(["author", "author_email"]), ["Changed: author."]),
        (summary(["update_frequency"], ["Theme <b>"]), ["Changed: update frequency, “Theme <b>”."]),
        (summary(added="a"), ["Added the resource “File A”."]),
        (summary(added="ab"), ["Added the resources “File A”, “File B”."]),
        (summary(removed="abcd"), ["Removed the resources “File A”, “File B”, “File C” and 1 more."]),
        (summary(bytes="abcde"), ["New content for “File A”, “File B”, “File C” and 2 more."]),
        (
            summary(["title"], added="a", bytes="b", metadata="c", removed="d", moved="a"),
            [
                "Changed: title.",
                "Added the resource “File A”.",
                "New content for “File B”.",
                "Changed the details of “File C”.",
                "Removed the resource “File D”.",
                "Put the resources into another order.",
            ],
        ),
        (summary(), ["Nothing that lasted: what was changed was changed back."]),
    ],
)
def test_sentences(change: dict[str, Any], sentences: list[str]):
    assert told(change) == sentences


def test_the_beginning_names_no_fields():
    assert told(summary(["state"]), first=True) == ["The first recorded version."]
    assert told(summary(added="a"), first=True) == [
        "The first recorded version.",
        "Added the resource “File A”.",
    ]


def test_a_name_that_is_not_known_does_not_stop_the_page():
    assert told(summary(added="x")) == ["Added the resource “x”."]


def test_all_that_is_said_goes_through_the_translation():
    class Shouting(NullTranslations):
        def gettext(self, message: str) -> str:
            return message.upper().replace("{FIELDS}", "{fields}").replace("{NAME}", "{name}")

        def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
            return (msgid1 if n == 1 else msgid2).upper().replace("{NAMES}", "{names}")

    change = summary(["title"], added="a", bytes="b", metadata="c", removed="d", moved="a")
    names = dict.fromkeys("abcd", "X")
    for first in (True, False):
        for sentence in words.sentences(change, names, Shouting(), first=first):
            assert sentence == sentence.upper()


@pytest.mark.parametrize(
    ("changes", "as_one"),
    [
        ([summary(["title"], ["x"]), summary(["notes", "title"])], summary(["notes", "title"], ["x"])),
        ([summary(added="a"), summary(bytes="a"), summary(metadata="a")], summary(added="a")),
        ([summary(added="ab"), summary(removed="a", moved="b")], summary(added="b")),
        ([summary(metadata="a"), summary(bytes="a")], summary(bytes="a")),
        ([summary(bytes="a"), summary(metadata="a")], summary(bytes="a")),
        ([summary(bytes="a", moved="a"), summary(removed="a")], summary(removed="a")),
        ([summary(removed="a"), summary(added="a")], summary(metadata="a")),
        ([summary(moved="a"), summary(moved="ab")], summary(moved="ab")),
        ([], summary()),
    ],
)
def test_several_changes_as_one(changes: list[Any], as_one: dict[str, Any]):
    assert words.merged(changes) == as_one


@st.composite
def histories(draw: st.DrawFn) -> tuple[set[str], set[str], list[dict[str, Any]]]:
    """Ids that are there at first and at last, and summaries that lead from one to the other."""
    present = first = frozenset(draw(st.sets(st.sampled_from("abcdef"))))
    changes = []
    for _ in range(draw(st.integers(0, 6))):
        after = frozenset(draw(st.sets(st.sampled_from("abcdef"))))
        kept = sorted(present & after)
        new_file = [id for id in kept if draw(st.booleans())]
        changes.append(
            summary(added=sorted(after - present), removed=sorted(present - after), bytes=new_file)
        )
        present = after
    return set(first), set(present), changes


@given(histories())
def test_what_is_added_and_removed_is_what_differs_at_the_end(history: Any):
    first, last, changes = history
    resources = words.merged(changes)["resources"]
    assert set(resources["added"]) == last - first
    assert set(resources["removed"]) == first - last
    assert set(resources["bytes"]) | set(resources["metadata"]) <= first & last
    assert not set(resources["bytes"]) & set(resources["metadata"])
