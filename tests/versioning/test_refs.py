from __future__ import annotations

import subprocess
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning import refs
from ckanext.versioning.errors import InvalidRef, InvalidReleaseName
from ckanext.versioning.history import timestamp
from ckanext.versioning.refs import AsOf, Head, Id, Latest, Number


def utc(*parts: int) -> AsOf:
    return AsOf(datetime(*parts, tzinfo=timezone.utc))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("latest", Latest()),
        ("head", Head(0)),
        ("head~0", Head(0)),
        ("head~12", Head(12)),
        ("r17", Number(17)),
        ("r0", Number(0)),
        ("2026-05-01T12:30Z", utc(2026, 5, 1, 12, 30)),
        ("2026-05-01T12:30", utc(2026, 5, 1, 12, 30)),
        ("2026-05-01 12:30:15", utc(2026, 5, 1, 12, 30, 15)),
        ("2026-05-01T12:30:15.25Z", utc(2026, 5, 1, 12, 30, 15, 250_000)),
        ("2026-05-01T12:30:15.123456+02:00", utc(2026, 5, 1, 10, 30, 15, 123_456)),
        ("2026-05-01T12:30-0130", utc(2026, 5, 1, 14, 0)),
        ("2026-05-01", utc(2026, 5, 1, 23, 59, 59, 999_999)),
        ("3f78685", Id("3f78685")),
        ("1234567", Id("1234567")),
        ("a" * 64, Id("a" * 64)),
    ],
)
def test_a_ref_says_what_it_names(text: str, ref: refs.Ref):
    assert refs.parse(text) == ref


@pytest.mark.parametrize(
    "text",
    [
        *["v1", "1.0", "abcdef", "a" * 65, "Head", "head~", "head~-1", "head~1234567890", "head ", "r"],
        *["r1234567890", "R1", "3F78685", "2026", "2026-05", "20260501T12", "12:30"],
    ],
)
def test_anything_else_can_only_be_a_release(text: str):
    assert refs.parse(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *["", "x" * 101, "2026-02-30", "2026-05-01T24:30Z", "0000-01-01", "0001-01-01T00:00+14:00"],
        *["9999-12-31T23:00-14:00", "r1\n", "v\0", "\ud800", "٣٤٥٦٧٨٩", "head~٣"],
    ],
)
def test_what_no_dataset_can_have_is_an_error(text: str):
    with pytest.raises(InvalidRef) as caught:
        refs.parse(text)
    assert caught.value.ref == text


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_time_is_read_as_it_is_shown(naive: datetime):
    moment = naive.replace(tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert refs.parse(timestamp(moment)) == AsOf(moment.astimezone(timezone.utc))


@given(st.text())
def test_parsing_ends_in_a_ref_nothing_or_an_invalid_ref(text: str):
    try:
        found = refs.parse(text)
    except InvalidRef:
        return
    assert found is None or isinstance(found, Latest | Head | Number | AsOf | Id)


GOOD_NAMES = [
    "v1",
    "1.0",
    "2026",
    "2026-05",
    "2026.1",
    "_private",
    "v1.0+build-3,final",
    "A" * 100,
    "headline",
    "r1a",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_release_names(name: str):
    refs.check_release_name(name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("", None),
        ("Version 1.2", "Version-1.2"),
        ("v1/final", "v1-final"),
        ("-rf", "rf"),
        ("..", None),
        ("v1..2", "v1.2"),
        ("v1.", "v1"),
        ("v1.lock", None),
        ("été", "ete"),
        ("日本", None),
        ("v1\n", "v1"),
        ("x" * 101, "x" * 99),
        ("latest", "vlatest"),
        ("HEAD", "vHEAD"),
        ("head~2", "head-2"),
        ("draft", "vdraft"),
        ("r17", "vr17"),
        ("R17", "vR17"),
        ("2026-05-01", "v2026-05-01"),
        ("20260501", "v20260501"),
        ("deadbeef", "vdeadbeef"),
        ("DEADBEEF", "vDEADBEEF"),
        ("a" * 64, "v" + "a" * 64),
    ],
)
def test_bad_release_names_come_with_a_better_one(name: str, suggestion: str | None):
    with pytest.raises(InvalidReleaseName) as caught:
        refs.check_release_name(name)
    assert caught.value.name == name
    assert caught.value.suggestion == suggestion


def acceptable(name: str) -> bool:
    try:
        refs.check_release_name(name)
    except InvalidReleaseName as error:
        if error.suggestion is not None:
            refs.check_release_name(error.suggestion)
        return False
    return True


@given(st.text(alphabet="abrHhead0123456789latest~-._+, /@{é", max_size=20))
def test_an_accepted_name_is_no_other_ref_and_a_suggestion_is_accepted(name: str):
    if acceptable(name):
        assert refs.parse(name) is None


@given(st.text(alphabet="av01~-._+,:/@{}\\^? *[l ock", min_size=1, max_size=15))
def test_git_accepts_every_accepted_name(name: str):
    if acceptable(name):
        subprocess.run(["git", "check-ref-format", f"refs/tags/{name}"], check=True)
