from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning import history
from ckanext.versioning.history import Last, Save, changeset

NOW = datetime(2026, 5, 1, 12, 0, 0, 42, tzinfo=timezone.utc)
ROW: dict[str, Any] = {
    "package_id": "p",
    "seq": 2,
    "parent_id": "a" * 64,
    "created": NOW,
    "body_sha": "b" * 64,
    "author_sha": "c" * 64,
    "message_sha": "d" * 64,
}


def test_the_id_is_the_hash_of_the_documented_record():
    # Written by hand: RFC 8785 sorts the keys and leaves no blanks.
    record = (
        '{"author":"'
        + "c" * 64
        + '","body":"'
        + "b" * 64
        + '","message":"'
        + "d" * 64
        + '","package_id":"p",'
        '"parent":"' + "a" * 64 + '","seq":2,"time":"2026-05-01T12:00:00.000042Z"}'
    )
    assert history.recompute_id(ROW) == hashlib.sha256(record.encode()).hexdigest()


TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SIZES = st.none() | st.integers(0, 2**53 - 1)
RESOURCES = st.fixed_dictionaries({"resource_id": TEXTS, "meta_sha": TEXTS, "oid": st.none(), "size": SIZES})


@given(
    TEXTS
    | st.none()
    | st.builds(history.author_record, st.none() | TEXTS, TEXTS)
    | st.builds(history.body_record, TEXTS, st.lists(RESOURCES))
)
def test_what_is_hashed_is_rfc_8785(value: Any):
    sealed = history.seal(value)
    assert sealed.sha == hashlib.sha256(sealed.salt + rfc8785.dumps(value)).hexdigest()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("package_id", "q"),
        ("seq", 3),
        ("parent_id", None),
        ("created", NOW + timedelta(microseconds=1)),
        ("body_sha", "0" * 64),
        ("author_sha", "0" * 64),
        ("message_sha", "0" * 64),
    ],
)
def test_every_fact_enters_the_id(column: str, value: Any):
    assert history.recompute_id({**ROW, column: value}) != history.recompute_id(ROW)


def test_the_time_zone_of_the_database_session_does_not_enter_the_id():
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    assert history.recompute_id({**ROW, "created": elsewhere}) == history.recompute_id(ROW)


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        history.timestamp(datetime(2026, 5, 1))  # noqa: DTZ001


def test_a_seal_is_checked_with_its_salt_and_differs_each_time():
    value = history.author_record("u1", "Žofie")
    one, two = history.seal(value), history.seal(value)
    assert len(one.salt) == 16
    assert one.sha != two.sha
    assert history.sealed_sha(one.salt, value) == one.sha
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert one.sha == hashlib.sha256(one.salt + text.encode()).hexdigest()


def test_the_body_lists_resources_in_order_and_nothing_else():
    rows = [
        {"resource_id": "b", "meta_sha": "2", "oid": None, "size": None, "position": 0},
        {"resource_id": "a", "meta_sha": "1", "oid": "f" * 64, "size": 7, "position": 1},
    ]
    assert history.body_record("0", rows) == {
        "dataset": "0",
        "resources": [
            {"resource_id": "b", "meta_sha": "2", "oid": None, "size": None},
            {"resource_id": "a", "meta_sha": "1", "oid": "f" * 64, "size": 7},
        ],
    }


def save(minutes: float = 0, **changes: Any) -> Save:
    facts: dict[str, Any] = {
        "package_id": "p",
        "author_id": "u",
        "origin": "web",
        "message": None,
        "labels": frozenset({"public"}),
        "created": NOW + timedelta(minutes=minutes),
    }
    return Save(**{**facts, **changes})


def last(one: Save, *, released: bool = False, draft: bool = False, opened: float = 0) -> Last:
    """The revision 4, in a changeset that begins with revision 2."""
    start = NOW + timedelta(minutes=opened)
    return Last(one, released, draft, changeset(one, 2, None), first=2, opened=start)


MEMBERS = frozenset({"member-o"})
NAMED, DRAFT = {"name": "import-7"}, {"labels": MEMBERS}
TOGETHER: list[tuple[str, Save, Last, bool]] = [
    ("soon after", save(5), last(save()), True),
    ("ten minutes are still together", save(10), last(save()), True),
    ("more than ten are not", save(10.01), last(save()), False),
    ("an hour in small steps", save(60), last(save(55)), True),
    ("more than an hour in small steps", save(60.01), last(save(55)), False),
    ("somebody else", save(1, author_id="v"), last(save()), False),
    ("nobody known, twice", save(1, author_id=None), last(save(author_id=None)), True),
    ("another way in", save(1, origin="api"), last(save()), False),
    ("with a message", save(1, message="m"), last(save()), False),
    ("after a message", save(1), last(save(message="m")), False),
    ("after a release", save(1), last(save(), released=True), False),
    ("other readers", save(1, labels=MEMBERS), last(save()), False),
    ("named, days later", save(9999, **NAMED), last(save(**NAMED)), True),
    ("named, with messages", save(message="m", **NAMED), last(save(message="n", **NAMED)), True),
    ("named, another way in", save(origin="api", **NAMED), last(save(**NAMED)), True),
    ("another name", save(name="import-8"), last(save(**NAMED)), False),
    ("a name after none", save(**NAMED), last(save()), False),
    ("no name after one", save(), last(save(**NAMED)), False),
    ("the name that somebody else gave", save(author_id="v", **NAMED), last(save(**NAMED)), False),
    ("named, nobody known", save(99, author_id=None, **NAMED), last(save(author_id=None, **NAMED)), False),
    ("named, other readers", save(labels=MEMBERS, **NAMED), last(save(**NAMED)), False),
    ("named, after a release", save(**NAMED), last(save(**NAMED), released=True), False),
    ("a draft, days later", save(9999, **DRAFT), last(save(**DRAFT), draft=True), True),
    ("a draft that is published", save(9999), last(save(**DRAFT), draft=True), True),
    ("a draft of somebody else", save(1, author_id="v", **DRAFT), last(save(**DRAFT), draft=True), False),
    ("a draft, with a message", save(1, message="m", **DRAFT), last(save(**DRAFT), draft=True), False),
]  # fmt: skip


@pytest.mark.parametrize(("new", "head", "together"), [t[1:] for t in TOGETHER], ids=[t[0] for t in TOGETHER])
def test_which_saves_belong_together(new: Save, head: Last, together: bool):
    assert (changeset(new, 5, head) == head.changeset) is together


@pytest.mark.parametrize(
    ("new", "head", "together"),
    [
        (save(message="m"), last(save(message="m")), True),
        (save(message="m", labels=MEMBERS), last(save(message="m")), False),
        (save(message="m"), last(save(message="m"), released=True), False),
    ],
)
def test_what_one_call_saves_belongs_together_for_the_same_readers(new: Save, head: Last, together: bool):
    assert (changeset(new, 5, head, same_action=True) == head.changeset) is together


def test_the_same_name_is_another_changeset_of_another_dataset_or_later_on():
    one, other = save(**NAMED), save(package_id="q", **NAMED)
    assert len({changeset(one, 2, None), changeset(other, 2, None), changeset(one, 3, None)}) == 3
