"""How a revision may be named. Pure: this module reads a ref, `revisions.py` looks it up.

A ref is tried as the exact name of a release first, then as

    latest            the revision of the newest release, else head
    head, head~2      the newest revision; two before it
    r17               the revision with this number
    2026-05-01T12:00Z the newest revision at that time (no zone: UTC; a date alone: the end of that day, UTC)
    3f786850          a revision id, or its first 7 or more digits

Release names are checked so that none can be mistaken for one of these.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from ckanext.versioning.errors import InvalidRef, InvalidReleaseName

#: Longest ref and longest release name, in characters.
MAX_LENGTH = 100

# Nine digits: more would overflow the database's integer, and no dataset has as many revisions.
_HEAD = re.compile(r"head(?:~([0-9]{1,9}))?")
_NUMBER = re.compile(r"r([0-9]{1,9})")
_ID = re.compile(r"[0-9a-f]{7,64}")
_TIME = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<clock>[0-9]{2}:[0-9]{2})(?:(?P<seconds>:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,6}))?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?)?"
)
# What git accepts in a tag (git-check-ref-format), less what is awkward in a URL or on a command line.
_RELEASE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,+-]*")


@dataclass(frozen=True)
class Latest:
    """The revision of the newest release, else head."""


@dataclass(frozen=True)
class Head:
    """The newest revision, or the one *back* places before it."""

    back: int = 0


@dataclass(frozen=True)
class Number:
    """The revision with this ``seq``."""

    seq: int


@dataclass(frozen=True)
class AsOf:
    """The newest revision made at *moment* or before."""

    moment: datetime


@dataclass(frozen=True)
class Id:
    """The revision whose id begins with *prefix* (7 to 64 hex digits)."""

    prefix: str


Ref = Latest | Head | Number | AsOf | Id


def parse(text: str) -> Ref | None:
    """What *text* names; None if it can only be the name of a release.

    Raises InvalidRef for text that can be no ref at all: empty, longer than MAX_LENGTH, with characters
    that no name of a release has, or a date that no calendar has.

    >>> parse("head~2")
    Head(back=2)
    """
    if not text:
        raise InvalidRef(text, "it is empty")
    if len(text) > MAX_LENGTH:
        raise InvalidRef(text, f"it is longer than {MAX_LENGTH} characters")
    if not (text.isascii() and text.isprintable()):
        raise InvalidRef(text, "it has characters other than printable ASCII")
    if text == "latest":
        return Latest()
    if match := _HEAD.fullmatch(text):
        return Head(int(match[1] or 0))
    if match := _NUMBER.fullmatch(text):
        return Number(int(match[1]))
    if found := moment(text):
        return AsOf(found)
    if _ID.fullmatch(text):
        return Id(text)
    return None


def moment(text: str, *, start: bool = False) -> datetime | None:
    """The point in time (UTC) that *text* names; None if it has another form.

    A date alone is the end of that day, its last microsecond; with *start*, its beginning. Raises InvalidRef
    for a date that no calendar has.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    zone = (match["zone"] or "Z").replace("Z", "+00:00")
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    clock = (match["clock"] or "00:00") + (match["seconds"] or ":00")
    # Python 3.10 reads no fraction but of three or six digits, and no "Z".
    fraction = (match["fraction"] or "").ljust(6, "0")
    iso = f"{match['date']}T{clock}.{fraction}{zone}"
    try:
        found = datetime.fromisoformat(iso).astimezone(timezone.utc)
        if match["clock"] is None and not start:
            found += timedelta(days=1) - timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise InvalidRef(text, "there is no such date or time") from None
    return found


def check_release_name(name: str) -> None:
    """Raise InvalidReleaseName unless *name* is safe in git, in URLs, and as a ref."""
    if reason := _problem(name):
        raise InvalidReleaseName(name, reason, _suggest(name))


def _problem(name: str) -> str | None:
    if not name:
        return "it is empty"
    if len(name) > MAX_LENGTH:
        return f"it is longer than {MAX_LENGTH} characters"
    if not _RELEASE_NAME.fullmatch(name) or ".." in name or name.endswith((".", ".lock")):
        return (
            "only the letters A to Z, digits and . _ + , - are allowed, beginning with a letter, digit or _, "
            "without '..' and not ending in '.' or '.lock'"
        )
    # Whatever the case: "HEAD" or "Latest" would only confuse people.
    low = name.lower()
    if low in {"latest", "draft"} or any(form.fullmatch(low) for form in (_HEAD, _NUMBER, _TIME, _ID)):
        return "it would be mistaken for another way to name a revision"
    return None


def _suggest(name: str) -> str | None:
    """A name near *name* that is allowed, if there is an obvious one."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    near = re.sub(r"[^A-Za-z0-9_.,+-]+", "-", plain)
    near = re.sub(r"\.{2,}", ".", near).strip(".-,+")[: MAX_LENGTH - 1]
    return next((n for n in (near, f"v{near}") if near and _problem(n) is None), None)
