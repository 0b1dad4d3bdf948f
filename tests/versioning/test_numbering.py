"""The number that is proposed for the next release."""

from __future__ import annotations

import pytest

from ckanext.versioning.numbering import next_name


@pytest.mark.parametrize(
    ("names", "if_files_changed", "if_not"),
    [
        ([], "v1", "v1"),
        (["v1"], "v2", "v1.1"),
        (["v9"], "v10", "v9.1"),
        (["v1.1", "v1"], "v2", "v1.2"),
        (["v1.1"], "v2.0", "v1.2"),
        (["1.0"], "2.0", "1.1"),
        (["1.9"], "2.0", "1.10"),
        (["1.2.3"], "2.0.0", "1.3.0"),
        (["release_3"], "release_4", "release_3.1"),
        (["v01"], "v02", "v01.1"),
        (["1.0-beta2"], "1.0-beta3", "1.0-beta2.1"),
        # By the calendar.
        (["2026.09"], "2026.10", "2026.10"),
        (["2026"], "2027", "2027"),
        # Nothing that could be counted, or nothing that could be a name.
        (["spring", "v1"], None, None),
        (["v1-final"], None, None),
        (["v9999999999"], None, None),
        (["999999"], None, "999999.1"),
        (["1.0+abc.5"], "1.0+abc.6", "1.0+abc.5.1"),
    ],
)
def test_the_style_of_the_newest_name_is_kept(names: list[str], if_files_changed: str, if_not: str):
    assert next_name(names, names, major=True) == if_files_changed
    assert next_name(names, names, major=False) == if_not


def test_a_name_that_was_given_before_is_not_proposed():
    assert next_name(["v1.1", "v3", "v2", "v1"], ["v1", "v2", "v3", "v1.1", "v1.2"], major=True) == "v4"
    assert next_name(["v1.1", "v1"], ["v1", "v1.1", "v1.2"], major=False) == "v1.3"
    assert next_name([], ["v1", "v2"], major=False) == "v3"
