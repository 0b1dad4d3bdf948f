"""A dataset's state, taken apart so that a save stores only what changed, and put together again.

Pure: no CKAN, no database. The state is CKAN's dictized dataset: what `package_dictize` gives with
``for_edit`` and ``include_plugin_data`` (what is in the database: raw URLs, before the show schema).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ckanext.versioning.hashing import new_salt, salted_sha

#: Dataset fields that are no content of the dataset's own: clocks and counters, copies of what belongs to
#: the organisation, the licence or another dataset, and what plugins keep for themselves.
DERIVED_DATASET_FIELDS = frozenset(
    {
        "isopen",
        "license_title",
        "license_url",
        "metadata_modified",
        "num_resources",
        "num_tags",
        "organization",
        "plugin_data",
        "relationships_as_object",
        "tracking_summary",
    }
)

#: Resource fields that the system writes by itself …
DERIVED_RESOURCE_FIELDS = frozenset(
    {"last_modified", "metadata_modified", "tracking_summary", "validation_status", "validation_timestamp"}
)
#: … and the beginnings of more of them (datastore flags, copies made by an archiver).
DERIVED_RESOURCE_PREFIXES = ("datastore_", "cache_")

_DERIVED_OF_STORED_FILE = DERIVED_RESOURCE_FIELDS | {"hash"}
_DERIVED_OF_CLASSIC_FILE = _DERIVED_OF_STORED_FILE - {"last_modified"}

#: Above this, JSON numbers are not exact everywhere (RFC 8785 §3.2.2.3).
_MAX_EXACT = 2**53 - 1
_OID = re.compile(r"[0-9a-f]{64}")

_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_ASCII_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class ResourcePart:
    """One resource: ``body`` is its dict, less a ``position`` that only repeats its place in the list.

    ``oid`` is the sha256 of the stored file, None for links and for files of which no sha256 is known;
    ``size`` its bytes, None without an oid or where the dict does not say.
    """

    id: str
    body: dict[str, Any]
    oid: str | None
    size: int | None


@dataclass(frozen=True)
class Snapshot:
    """``dataset``: the dict without its resources. ``resources``: in the dataset's order."""

    dataset: dict[str, Any]
    resources: list[ResourcePart]


def split(dictized: Mapping[str, Any]) -> Snapshot:
    """Take a dictized dataset apart. Every resource has a unique ``id`` and a ``position``.

    Nothing is lost: ``rebuild(s.dataset, [r.body for r in s.resources])`` equals *dictized*.
    """
    dataset = {key: value for key, value in dictized.items() if key != "resources"}
    return Snapshot(dataset, [_part(r, place) for place, r in enumerate(dictized["resources"])])


def rebuild(dataset: Mapping[str, Any], resources: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The dictized dataset of which these are the parts; *resources* are bodies in the dataset's order."""
    return {
        **dataset,
        "resources": [{"position": place, **body} for place, body in enumerate(resources)],
    }


def _part(resource: Mapping[str, Any], place: int) -> ResourcePart:
    body = dict(resource)
    position = body.get("position")
    # Without it, a resource that only moved keeps its body. A position that is not the place (possible
    # after direct database work) stays, so that nothing is lost.
    if type(position) is int and position == place:
        del body["position"]
    oid = stored_oid(body)
    size = body.get("size")
    exact = type(size) is int and 0 <= size <= _MAX_EXACT
    return ResourcePart(body["id"], body, oid, size if oid and exact else None)


def stored_oid(resource: Mapping[str, Any]) -> str | None:
    """sha256 of the file that *resource* stands for; None for a link or a file without known sha256."""
    sha = resource.get("sha256")
    if resource.get("url_type") == "upload" and isinstance(sha, str) and _OID.fullmatch(sha):
        return sha
    return None


def dataset_projection(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a dataset counts as its content: two saves with equal projections are one revision.

    Tags count by name and vocabulary, groups by id, extras by key; none has an order of its own, and neither
    have relationships.
    """
    content = {key: value for key, value in body.items() if key not in DERIVED_DATASET_FIELDS}
    content["extras"] = {extra["key"]: extra["value"] for extra in body["extras"]}
    content["tags"] = sorted([tag["vocabulary_id"] or "", tag["name"]] for tag in body["tags"])
    content["groups"] = sorted(group["id"] for group in body["groups"])
    if relationships := content.get("relationships_as_subject"):
        content["relationships_as_subject"] = sorted(relationships, key=lambda one: one["id"])
    return content


def resource_projection(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of a resource counts as its content.

    For a stored file ``hash`` is left out: data loaders write it, and the sha256 says more. For a file
    without known sha256, ``last_modified`` is kept: nothing else tells of new bytes.
    """
    if body.get("url_type") != "upload":
        dropped = DERIVED_RESOURCE_FIELDS
    else:
        dropped = _DERIVED_OF_CLASSIC_FILE if stored_oid(body) is None else _DERIVED_OF_STORED_FILE
    return {
        key: value
        for key, value in body.items()
        if key not in dropped and not key.startswith(DERIVED_RESOURCE_PREFIXES)
    }


def canonical_json(value: Any) -> str:
    """*value* as text: the same value always gives the same text, and the text gives the value back.

    Not RFC 8785, which has no room for integers above 2⁵³; the text itself is what is stored and hashed,
    so nobody ever has to make it again to check a hash. Raises ValueError for NaN and infinities, which
    JSON does not have (CKAN cannot store them either).
    """
    text = _JSON.encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: no UTF-8, so no place in PostgreSQL but escaped
        return _ASCII_JSON.encode(value)
    return text


@dataclass(frozen=True)
class Blob:
    """A body as it is stored.

    ``text`` is its canonical JSON, ``sha`` the salted hash of that text, and ``projection_sha`` the
    salted hash (same salt) of the projection's canonical JSON.
    """

    text: str
    sha: str
    salt: bytes
    projection_sha: str


def make_blob(body: Mapping[str, Any], projection: str) -> Blob:
    """Store *body*, whose projection has the canonical JSON *projection*, under a new salt."""
    salt = new_salt()
    text = canonical_json(body)
    return Blob(text, salted_sha(salt, text.encode()), salt, salted_sha(salt, projection.encode()))
