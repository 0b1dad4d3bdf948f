"""The fields of a resource that describe stored bytes: written from our own record, never believed.

``url_type``, ``sha256``, ``size`` (bytes), ``lfs_prefix``, ``mimetype``, ``last_modified`` and the file
name in ``url``. A client names the file by its sha256; everything else comes from the object that the
dataset brought in itself. Pure functions; `logic.action` passes every save through `settle`.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_OID = re.compile(r"[0-9a-f]{64}")


def stored_oid(resource: Mapping[str, Any]) -> str | None:
    """sha256 of the stored file of a resource; None for links and for files of CKAN's own FileStore."""
    oid = resource.get("sha256")
    if resource.get("url_type") == "upload" and isinstance(oid, str) and _OID.fullmatch(oid):
        return oid
    return None


def filename(resource: Mapping[str, Any]) -> str:
    """The name a stored file is downloaded as: the last part of ``url``."""
    return str(resource.get("url") or "").rsplit("/")[-1]


def claimed_oids(resources: Iterable[Mapping[str, Any]], rows: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """What *resources* want to refer to and do not refer to yet; *rows* as for `settle`."""
    return {
        resource["sha256"]
        for resource in resources
        if resource.get("url_type") == "upload"
        and isinstance(resource.get("sha256"), str)
        and not _unchanged(resource, rows)
    }


def settle(
    resources: Iterable[Mapping[str, Any]],
    rows: Mapping[str, Mapping[str, Any]],
    available: Mapping[str, int],
    lfs_prefix: str,
    now: datetime,
) -> tuple[list[Mapping[str, Any]], list[dict[str, list[str]]]]:
    """Resources as they may be saved, and an error dict for each (``{}`` where there is none).

    ``rows``: resource id → the resource as this dataset has it in the database; a value is "unchanged"
    only against that, since CKAN lets another dataset adopt the id of a deleted resource.
    ``available``: oid → size in bytes of the objects linked to this dataset among `claimed_oids`.
    What needs no change comes back as the same dict, so that CKAN still sees it as unchanged.
    """
    settled: list[Mapping[str, Any]] = []
    problems: list[dict[str, list[str]]] = []
    for resource in resources:
        problem: dict[str, list[str]] = {}
        row = rows.get(str(resource.get("id"))) or {}
        if resource.get("clear_upload") and stored_oid(row):  # the form's way to let go of a file
            resource = {**_without(resource, "clear_upload", "size"), "url_type": ""}
        if resource.get("url_type") != "upload":
            resource = _without(resource, "sha256", "lfs_prefix")
        elif not resource.get("sha256"):
            if stored_oid(row):  # a form that does not know our fields keeps the file
                resource = _with(resource, _record(row))
            else:
                resource = _without(resource, "sha256", "lfs_prefix")
        elif _unchanged(resource, rows):
            resource = _with(resource, _record(row))
        elif isinstance(resource["sha256"], str) and resource["sha256"] in available:
            resource = _with(resource, _new(resource, available, lfs_prefix, now))
        else:
            problem = {
                "sha256": [
                    "This dataset has no uploaded file with this sha256. Upload the file to the dataset"
                    " first, then save the resource."
                ]
            }
        settled.append(resource)
        problems.append(problem)
    return settled, problems


def _unchanged(resource: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> bool:
    row = rows.get(str(resource.get("id")))
    return row is not None and stored_oid(row) == resource.get("sha256")


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: row.get(key) for key in ("sha256", "size", "lfs_prefix")}


def _new(
    resource: Mapping[str, Any], available: Mapping[str, int], lfs_prefix: str, now: datetime
) -> dict[str, Any]:
    oid = resource["sha256"]
    name = filename(resource) or str(resource.get("name") or oid)
    return {
        "url": name,
        "size": available[oid],
        "lfs_prefix": lfs_prefix,
        "mimetype": mimetypes.guess_type(name)[0],
        "last_modified": now.replace(tzinfo=None).isoformat(),
    }


def _with(resource: Mapping[str, Any], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    if all(key in resource and resource[key] == value for key, value in fields.items()):
        return resource
    return {**resource, **fields}


def _without(resource: Mapping[str, Any], *fields: str) -> Mapping[str, Any]:
    if not any(field in resource for field in fields):
        return resource
    return {key: value for key, value in resource.items() if key not in fields}
