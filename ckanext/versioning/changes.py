"""What a save changed: the comparison of a dataset with its newest revision, and the summary of it.

Pure: no CKAN, no database.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckanext.versioning.hashing import salted_sha
from ckanext.versioning.snapshot import (
    Blob,
    Snapshot,
    canonical_json,
    dataset_projection,
    make_blob,
    resource_projection,
)


@dataclass(frozen=True)
class KnownBlob:
    """What is needed to compare with a stored body; ``salt`` is None once it has been redacted."""

    salt: bytes | None
    projection_sha: str | None

    def has(self, projection: str) -> bool:
        return self.salt is not None and salted_sha(self.salt, projection.encode()) == self.projection_sha


@dataclass(frozen=True)
class KnownResource:
    """A resource as the newest revision has it."""

    position: int
    meta_sha: str
    oid: str | None
    size: int | None
    blob: KnownBlob


@dataclass(frozen=True)
class Known:
    """The newest revision: ``text`` is the dataset body's JSON (None if redacted), resources are by id."""

    text: str | None
    blob: KnownBlob
    resources: Mapping[str, KnownResource]


@dataclass(frozen=True)
class ResourceState:
    """A resource in the new revision. ``blob`` is None where the stored body still holds."""

    resource_id: str
    position: int
    meta_sha: str
    oid: str | None
    size: int | None
    blob: Blob | None
    #: The newest revision has this very state, so no row of its own is needed.
    kept: bool


@dataclass(frozen=True)
class Change:
    """All that a new revision needs; ``resources`` is the whole list in the dataset's order."""

    dataset: Blob
    resources: list[ResourceState]
    #: Ids whose state in the newest revision ends here: changed, moved or removed.
    ended: list[str]
    summary: dict[str, Any]


def compare(snapshot: Snapshot, known: Known | None) -> Change | None:
    """The change that leads from *known* (None: no revision yet) to *snapshot*; None if nothing changed."""
    before = known.resources if known else {}
    states = [
        _state(part.id, position, part.body, part.oid, part.size, before.get(part.id))
        for position, part in enumerate(snapshot.resources)
    ]
    after = {state.resource_id: state for state in states}
    ended = [id for id in before if id not in after or not after[id].kept]
    content = dataset_projection(snapshot.dataset)
    projection = canonical_json(content)
    if known and known.blob.has(projection) and not ended and all(state.kept for state in states):
        return None
    return Change(
        dataset=make_blob(snapshot.dataset, projection),
        resources=states,
        ended=ended,
        summary={**_changed_fields(known, content), "resources": _changed_resources(before, states)},
    )


def known(first: Change) -> Known:
    """What is known after *first*, the first change of a dataset, was recorded."""
    return Known(
        first.dataset.text,
        _known_blob(first.dataset),
        {
            state.resource_id: KnownResource(
                state.position, state.meta_sha, state.oid, state.size, _known_blob(state.blob)
            )
            for state in first.resources
            if state.blob
        },
    )


def _known_blob(blob: Blob) -> KnownBlob:
    return KnownBlob(blob.salt, blob.projection_sha)


def _state(
    resource_id: str,
    position: int,
    body: Mapping[str, Any],
    oid: str | None,
    size: int | None,
    known: KnownResource | None,
) -> ResourceState:
    projection = canonical_json(resource_projection(body))
    if known and known.blob.has(projection):
        kept = known.position == position
        return ResourceState(resource_id, position, known.meta_sha, known.oid, known.size, None, kept)
    blob = make_blob(body, projection)
    return ResourceState(resource_id, position, blob.sha, oid, size, blob, kept=False)


def _changed_fields(known: Known | None, content: Mapping[str, Any]) -> dict[str, list[str]]:
    """Names of the dataset fields and of the extras that differ; empty for the first revision.

    Where the stored body was redacted nobody can tell, so they are empty too.
    """
    if known is None or known.text is None:
        return {"fields": [], "extras": []}
    old = dataset_projection(json.loads(known.text))
    fields = differing(old, content)
    extras = differing(old["extras"], content["extras"])
    return {"fields": [name for name in fields if name != "extras"], "extras": extras}


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Keys, sorted, that only one of the two has or that have different values."""
    return sorted(k for k in old.keys() | new.keys() if k not in old or k not in new or old[k] != new[k])


def _changed_resources(
    before: Mapping[str, KnownResource], states: Sequence[ResourceState]
) -> dict[str, list[str]]:
    """Resource ids by what happened to them.

    ``bytes``: has another file now (which changes its metadata too); ``metadata``: changed, with the same
    file; ``moved`` is told apart from both, so one id can be in it and in one of them.
    """
    after = {state.resource_id for state in states}
    common = [(state, before[state.resource_id]) for state in states if state.resource_id in before]
    return {
        "added": [state.resource_id for state in states if state.resource_id not in before],
        "removed": [id for id in before if id not in after],
        "metadata": [state.resource_id for state, old in common if state.blob and state.oid == old.oid],
        "bytes": [state.resource_id for state, old in common if state.oid != old.oid],
        "moved": moved(
            sorted((id for id in before if id in after), key=lambda id: before[id].position),
            [state.resource_id for state, _ in common],
        ),
    }


def moved(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The fewest ids that, put elsewhere, turn the order *before* into *after* (the same ids).

    All others form a longest run that kept its order. The result is in the order of *after*.

    >>> moved(["a", "b", "c", "d"], ["d", "a", "b", "c"])
    ['d']
    """
    rank = {id: place for place, id in enumerate(before)}
    tails: list[int] = []  # tails[n]: lowest rank that ends an increasing run of n + 1
    lengths: list[int] = []  # of the longest run that ends at each place of `after`
    for id in after:
        length = bisect_left(tails, rank[id])
        tails[length : length + 1] = [rank[id]]
        lengths.append(length)
    stayed: set[str] = set()
    wanted, limit = len(tails) - 1, len(before)
    for id, length in zip(reversed(after), reversed(lengths), strict=True):
        if length == wanted and rank[id] < limit:
            stayed.add(id)
            wanted, limit = wanted - 1, rank[id]
    return [id for id in after if id not in stayed]
