"""The chain of revisions: how an id is made and checked, and which saves belong together.

Pure: no CKAN, no database. A revision's id is sha256 over RFC 8785 JSON of

    {package_id, seq, parent, time, body, author, message}

where ``parent`` is the id of the revision before (null for the first), ``time`` is `timestamp()` and
``body``, ``author`` and ``message`` are salted hashes of what they stand for. So nothing about a revision
can be changed without changing every later id, and yet a body, an author or a message can be
erased together with its salt: the id still checks, and the hash that stays tells nothing.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ckanext.versioning.hashing import new_salt, salted_sha

#: RFC 8785 for what is hashed here: text, null, integers within ±2⁵³, and objects whose keys are ASCII. (What
#: it says about other numbers and keys, this does not do.)
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)

#: Consecutive saves further apart than this are different changes …
CHANGESET_GAP = timedelta(minutes=10)
#: … and no changeset goes on for longer than this.
CHANGESET_WINDOW = timedelta(minutes=60)


def timestamp(moment: datetime) -> str:
    """UTC with six decimals, as it enters the id and as the API shows it: ``2026-05-01T12:00:00.000000Z``.

    *moment* must know its time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone, so it names no point in time; give it one.")
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Seal:
    """A value's salted hash (hex) and the salt; with the salt gone, the value cannot be guessed."""

    sha: str
    salt: bytes


def seal(value: Any) -> Seal:
    """Hash *value* (text, null, or an object as `body_record` makes it) under a new salt."""
    salt = new_salt()
    return Seal(sealed_sha(salt, value), salt)


def sealed_sha(salt: bytes, value: Any) -> str:
    """The hash that `seal` gave *value* under *salt*."""
    return salted_sha(salt, _JSON.encode(value).encode())


def body_record(dataset_sha: str, resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The value sealed as a revision's body.

    *resources*, in the dataset's order, have ``resource_id``, ``meta_sha``, and for a stored file ``oid``
    (sha256 of its bytes) and ``size`` (bytes); both are None otherwise.
    """
    return {"dataset": dataset_sha, "resources": [_resource_record(r) for r in resources]}


def _resource_record(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: resource[key] for key in ("resource_id", "meta_sha", "oid", "size")}


def resource_json(resource: Mapping[str, Any]) -> bytes:
    """What a resource adds to the RFC 8785 JSON of a `body_record`; it is the same in every revision."""
    return _JSON.encode(_resource_record(resource)).encode()


def body_sha(salt: bytes, dataset_sha: str, resources: Iterable[bytes]) -> str:
    """`sealed_sha` of a `body_record` whose *resources* are given as `resource_json`.

    Whoever walks through many revisions so writes each resource once, not once for each revision.
    """
    parts = (_JSON.encode(dataset_sha).encode(), b",".join(resources))
    return salted_sha(salt, b'{"dataset":%b,"resources":[%b]}' % parts)


def author_record(user_id: str | None, name: str | None) -> dict[str, Any]:
    """The value sealed as a revision's author; *name* is the display name at the time."""
    return {"id": user_id, "name": name}


def revision_id(
    *,
    package_id: str,
    seq: int,
    parent: str | None,
    created: datetime,
    body_sha: str,
    author_sha: str,
    message_sha: str,
) -> str:
    """The id (64 hex digits) that these facts have; see the module's docstring."""
    record = {
        "package_id": package_id,
        "seq": seq,
        "parent": parent,
        "time": timestamp(created),
        "body": body_sha,
        "author": author_sha,
        "message": message_sha,
    }
    return hashlib.sha256(_JSON.encode(record).encode()).hexdigest()


def recompute_id(row: Mapping[str, Any]) -> str:
    """The id that a stored revision should have, from its own columns. Works for a redacted one too."""
    return revision_id(
        package_id=row["package_id"],
        seq=row["seq"],
        parent=row["parent_id"],
        created=row["created"],
        body_sha=row["body_sha"],
        author_sha=row["author_sha"],
        message_sha=row["message_sha"],
    )


@dataclass(frozen=True)
class Save:
    """What decides whether a save goes on with an earlier one.

    ``labels`` are CKAN's permission labels: a line in the list stands for revisions that the same
    people may read. ``name`` is what the author calls the changeset, None for nothing.
    """

    package_id: str
    author_id: str | None
    origin: str
    message: str | None
    labels: frozenset[str]
    created: datetime
    name: str | None = None


@dataclass(frozen=True)
class Last:
    """The revision before a save: ``released`` under a name, or a ``draft``, a dataset still being made.

    ``changeset`` is the id of its changeset, ``first`` the ``seq`` and ``opened`` the time of the first
    revision in that.
    """

    save: Save
    released: bool
    draft: bool
    changeset: str
    first: int
    opened: datetime


def changeset(save: Save, seq: int, last: Last | None, *, same_action: bool = False) -> str:
    """The id of the changeset to which *save*, as revision *seq*, belongs: that of *last*, or a new one.

    A release closes a changeset: somebody has said that this state is worth a name. same_action: both
    revisions were made by one call, which has committed in its middle.
    """
    if last and not last.released and (same_action or save.author_id == last.save.author_id):
        same_readers = save.labels == last.save.labels
        if (same_action and same_readers) or _continues(save, last, same_readers):
            return last.changeset
    return _named(save, seq) or str(uuid.uuid4())


def _continues(save: Save, last: Last, same_readers: bool) -> bool:
    if name := _named(save, last.first):
        return same_readers and name == last.changeset
    if _is_named(last.changeset) or (save.origin, None, None) != (
        last.save.origin,
        save.message,
        last.save.message,
    ):
        return False
    # Until it is published, and with that, a dataset is being made, however long it takes.
    soon = (
        save.created - last.save.created <= CHANGESET_GAP and save.created - last.opened <= CHANGESET_WINDOW
    )
    return last.draft or (same_readers and soon)


def _named(save: Save, first: int) -> str | None:
    """The id of the changeset with the save's name that begins at revision *first*.

    It is its author's own: nobody goes on with another's by giving its name. Whoever is not known has none.
    """
    if save.name is None or save.author_id is None:
        return None
    return str(
        uuid.uuid5(uuid.NAMESPACE_OID, _JSON.encode([save.package_id, first, save.author_id, save.name]))
    )


def _is_named(changeset: str) -> bool:
    return changeset[14:15] == "5"  # the version of an UUID
