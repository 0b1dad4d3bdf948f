"""Which name a release might get: the number of the newest one, counted up in the style of its name.

Pure: no CKAN, no database.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from ckanext.versioning import refs
from ckanext.versioning.errors import InvalidReleaseName

FIRST = "v1"

_COUNTED = re.compile(r"(?P<text>(?:.*?[^0-9])??)(?P<numbers>[0-9]{1,9}(?:\.[0-9]{1,9})*)")
#: A number that is a year: such names go by the calendar, and only their last number is counted.
_YEAR = re.compile(r"(?:19|20)[0-9]{2}")


def next_name(names: Sequence[str], taken: Collection[str], *, major: bool) -> str | None:
    """The next name after *names* (newest first), none of *taken*; None if the newest ends in no number.

    *major*: files have changed since, so that the first number counts, else the second.

    >>> [next_name([name], [], major=True) for name in ("v1", "1.0", "1.2.3")]
    ['v2', '2.0', '2.0.0']
    >>> [next_name([name], [], major=False) for name in ("v1", "1.0", "1.2.3")]
    ['v1.1', '1.1', '1.3.0']
    """
    if not names:
        proposed: str | None = FIRST
    else:
        proposed = _counted_up(names[0], names, major)
    while proposed and proposed in taken:
        proposed = _counted_up(proposed, names, major or not names)
    if proposed:
        try:
            refs.check_release_name(proposed)
        except InvalidReleaseName:
            return None
    return proposed


def _counted_up(name: str, names: Sequence[str], major: bool) -> str | None:
    found = _COUNTED.fullmatch(name)
    if not found:
        return None
    text, numbers = found["text"], found["numbers"].split(".")
    if _YEAR.fullmatch(numbers[0]):
        place = len(numbers) - 1
    elif major:
        place = 0
        # Where v1 was the style before v1.1, it is v2 that follows.
        if any(other["text"] == text and "." not in other["numbers"] for other in _all_counted(names)):
            numbers = numbers[:1]
    else:
        place = 1
        if len(numbers) == 1:
            numbers.append("0")
    counted = str(int(numbers[place]) + 1).zfill(len(numbers[place]))
    return text + ".".join([*numbers[:place], counted, *("0" for _ in numbers[place + 1 :])])


def _all_counted(names: Sequence[str]) -> list[re.Match[str]]:
    return [found for name in names if (found := _COUNTED.fullmatch(name))]
