"""What a dataset becomes when parts of it go back to an earlier revision.

Pure: no CKAN, no database. The dataset dicts are of one kind: as shown for editing, or as recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ckanext.versioning import changes, snapshot
from ckanext.versioning.errors import FileNotKept, UnknownPart
from ckanext.versioning.snapshot import (
    DERIVED_DATASET_FIELDS,
    DERIVED_RESOURCE_FIELDS,
    DERIVED_RESOURCE_PREFIXES,
    stored_oid,
)

#: Parts that stand for all fields that a publisher writes, and for the whole list of resources.
FIELDS, RESOURCES = "fields", "resources"
#: Fields that say where a dataset is and who sees it: they stay as they are unless they are asked for.
ON_REQUEST = frozenset({"name", "owner_org", "private", "state"})

_NOTHING: Mapping[str, str] = {}
#: What the record of a stored file says of its bytes, beside their sha256.
_OF_STORED_BYTES = ("lfs_prefix", "mimetype", "size")

_NEVER = DERIVED_DATASET_FIELDS | {
    "creator_user_id",
    "id",
    "metadata_created",
    "relationships_as_subject",
    "resources",
    "type",
}


def reverted(
    now: Mapping[str, Any],
    then: Mapping[str, Any],
    parts: Collection[str] | None = None,
    kept: Mapping[str, str] = _NOTHING,
) -> dict[str, Any]:
    """*now* with its *parts* as they are in *then*.

    parts: `FIELDS`, `RESOURCES`, names in `ON_REQUEST`, ids of resources; None stands for the first two. A
    resource that was not there then is removed, one that is not there now comes back.
    kept: resource id → sha256 of files that CKAN's own FileStore had then, and that history has kept.

    Raises UnknownPart, and FileNotKept for a file of which only the name is known.
    """
    wanted = {FIELDS, RESOURCES} if parts is None else set(parts)
    ids = {resource["id"] for resource in (*now["resources"], *then["resources"])}
    if unknown := sorted(wanted - ids - ON_REQUEST - {FIELDS, RESOURCES}):
        raise UnknownPart(unknown)
    names = wanted & ON_REQUEST
    if FIELDS in wanted:
        names |= (now.keys() | then.keys()) - ON_REQUEST - _NEVER
    result = {key: value for key, value in now.items() if key not in names}
    result |= {key: then[key] for key in names if key in then}
    if RESOURCES in wanted:
        wanted |= ids
    present = {resource["id"]: resource for resource in now["resources"]}
    past = [_with_kept_file(r, present.get(r["id"]), kept) for r in then["resources"]]
    resources = _resources(now["resources"], past, wanted, in_order=RESOURCES in wanted)
    result["resources"] = [{**resource, "position": place} for place, resource in enumerate(resources)]
    return result


@dataclass(frozen=True)
class Resource:
    """A resource that is not as it was: ``part`` is its id, ``name`` what people call it.

    ``kind``: it would be ``added`` again, ``removed``, get other ``bytes`` or other ``metadata``. What is
    ``lost`` cannot come back, because its file was not kept.
    """

    part: str
    name: str
    kind: Literal["added", "removed", "bytes", "metadata", "lost"]


@dataclass(frozen=True)
class Difference:
    """What `reverted` would change: names of ``fields`` and ``extras``, resources, and their order."""

    fields: list[str]
    extras: list[str]
    resources: list[Resource]
    order: bool

    def __bool__(self) -> bool:
        return bool(self.fields or self.extras or self.resources or self.order)


def lost(now: Mapping[str, Any], then: Mapping[str, Any], kept: Collection[str] = ()) -> list[str]:
    """Ids of the resources whose file of then is not the one of now, and is not in *kept*."""
    present = {resource["id"]: resource for resource in now["resources"]}
    return [r["id"] for r in then["resources"] if r["id"] not in kept and _is_lost(r, present.get(r["id"]))]


def difference(
    now: Mapping[str, Any], then: Mapping[str, Any], kept: Mapping[str, str] = _NOTHING
) -> Difference:
    """Between two recorded states of a dataset, by what a publisher wrote; *kept* as in `reverted`."""
    present = {resource["id"]: resource for resource in now["resources"]}
    past = {resource["id"]: resource for resource in then["resources"]}
    gone = lost(now, then, kept)
    current = changes.compare(snapshot.split(now), None)
    whole = {**then, "resources": [r for r in then["resources"] if r["id"] not in gone]}
    change = changes.compare(
        snapshot.split(reverted(now, whole, kept=kept)), changes.known(current) if current else None
    )
    found: Any = change.summary if change else {"fields": [], "extras": [], "resources": {}}
    kinds: Any = {
        id: kind
        for kind in ("added", "removed", "bytes", "metadata")
        for id in found["resources"].get(kind, ())
    }
    kinds |= dict.fromkeys(gone, "lost")
    return Difference(
        found["fields"],
        found["extras"],
        [
            Resource(id, _name(past.get(id) or present[id]), kinds[id])
            for id in dict.fromkeys((*past, *present))
            if id in kinds
        ],
        order=bool(found["resources"].get("moved")),
    )


def _name(resource: Mapping[str, Any]) -> str:
    return resource.get("name") or resource.get("url") or resource["id"]


def _resources(
    now: Sequence[Mapping[str, Any]], then: Sequence[Mapping[str, Any]], wanted: set[str], *, in_order: bool
) -> list[dict[str, Any]]:
    present = {resource["id"]: resource for resource in now}
    restored = {r["id"]: _restored(r, present.get(r["id"])) for r in then if r["id"] in wanted}
    if in_order:
        return list(restored.values())
    result = [restored.get(r["id"], dict(r)) for r in now if r["id"] in restored or r["id"] not in wanted]
    for place, resource in enumerate(then):
        if resource["id"] in restored and resource["id"] not in present:
            result.insert(place, restored[resource["id"]])
    return result


def _restored(then: Mapping[str, Any], now: Mapping[str, Any] | None) -> dict[str, Any]:
    """The resource of that time, with what the system writes by itself as it is now."""
    oid = stored_oid(then)
    if _is_lost(then, now):
        raise FileNotKept(then["id"], _name(then))
    result = {key: value for key, value in then.items() if not _is_derived(key)}
    if now is not None:
        result |= {key: value for key, value in now.items() if _is_derived(key)}
        # A data loader's mark for the bytes that it has loaded: others have to be loaded again.
        if oid != stored_oid(now):
            result.pop("hash", None)
        elif "hash" in now:
            result["hash"] = now["hash"]
    else:
        result.pop("hash", None)
    if not result.get("url_type"):
        # For None CKAN keeps what the row has, also a deleted one: a link would become a file without bytes.
        result["url_type"] = "" if now is None or now.get("url_type") else now.get("url_type")
    return result


def _with_kept_file(
    then: Mapping[str, Any], now: Mapping[str, Any] | None, kept: Mapping[str, str]
) -> Mapping[str, Any]:
    """*then* as a stored file, if its file is in *kept* and is not the one of *now* anyway."""
    oid = kept.get(then["id"])
    if oid is None or not _is_lost(then, now):
        return then
    same = now if now and stored_oid(now) == oid else {}
    return {**then, **{key: same[key] for key in _OF_STORED_BYTES if key in same}, "sha256": oid}


def _is_derived(key: str) -> bool:
    return key in DERIVED_RESOURCE_FIELDS or key.startswith(DERIVED_RESOURCE_PREFIXES)


def _is_lost(then: Mapping[str, Any], now: Mapping[str, Any] | None) -> bool:
    """CKAN's FileStore overwrites a resource's file, and `last_modified` alone tells that it did."""
    if then.get("url_type") != "upload" or stored_oid(then):
        return False
    same = ("url_type", "url", "last_modified")
    return now is None or stored_oid(now) is not None or any(then.get(k) != now.get(k) for k in same)
