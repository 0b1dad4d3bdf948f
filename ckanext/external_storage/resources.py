"""The fields of a resource that describe stored bytes: written from our own record, never believed.

``url_type``, ``sha256``, ``size`` (bytes), ``lfs_prefix``, ``mimetype``, ``last_modified`` and the file
name in ``url``. A client names the file by its sha256; everything else comes from the object that the
dataset brought in itself. Pure functions; `logic.action` passes every save through `settle`.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

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


class Upload(Protocol):
    """How far an upload is; sizes in bytes, ``hashed``: how much of it is checked."""

    @property
    def state(self) -> str: ...
    @property
    def oid(self) -> str | None: ...
    @property
    def size(self) -> int: ...
    @property
    def hashed(self) -> int: ...
    @property
    def filename(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...


def named_uploads(resources: Iterable[Mapping[str, Any]]) -> list[Any]:
    """What *resources* give as ids of uploads: anything, since a client says so."""
    return [resource["upload_id"] for resource in resources if resource.get("upload_id")]


def with_uploads(
    resources: Iterable[Mapping[str, Any]],
    uploads: Mapping[str, Upload],
    gettext: Callable[[str], str] = str,
) -> tuple[list[Mapping[str, Any]], list[dict[str, list[str]]]]:
    """Resources without ``upload_id``: with the file that it stood for instead, and an error dict for each.

    ``uploads``: those that the caller may use here, by id. A file that the caller has just brought wins over
    the one that the resource had, and over ``clear_upload``.
    """
    found: list[Mapping[str, Any]] = []
    problems: list[dict[str, list[str]]] = []
    for resource in resources:
        problem: dict[str, list[str]] = {}
        given = resource.get("upload_id")
        resource = _without(resource, "upload_id")
        if given:
            upload = uploads.get(given) if isinstance(given, str) else None
            problem = _not_usable(upload, gettext)
            if upload and not problem:
                # A new resource's own word counts: files of the same content may have come in one upload.
                own = "" if resource.get("id") else filename(resource)
                name = own or upload.filename or filename(resource)
                file = {"url": name, "url_type": "upload", "sha256": upload.oid}
                resource = {**_without(resource, "clear_upload"), **file}
        found.append(resource)
        problems.append(problem)
    return found, problems


def _not_usable(upload: Upload | None, gettext: Callable[[str], str]) -> dict[str, list[str]]:
    if upload is None:
        message = gettext(
            "This dataset has no such upload of yours. Upload the file to it, then save the resource."
        )
    elif upload.state == "verified":
        return {}
    elif upload.state == "received":
        percent = 100 * upload.hashed // upload.size if upload.size else 0
        message = gettext(
            "The file has arrived and is being checked; {percent} % is done. Save again when it is finished."
        )
        return {"upload_id": [message.format(percent=percent)], "upload_progress": [str(percent)]}
    elif upload.state == "rejected":
        message = gettext("The file was refused: {reason} Upload it again.").format(reason=upload.reason)
    elif upload.state == "open":
        message = gettext("The file has not arrived completely. Finish its upload, then save the resource.")
    else:
        message = gettext("The upload has ended before the file was complete. Upload the file again.")
    return {"upload_id": [message]}


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
    lfs_prefix: str | None,
    now: datetime,
    gettext: Callable[[str], str] = str,
) -> tuple[list[Mapping[str, Any]], list[dict[str, list[str]]]]:
    """Resources as they may be saved, and an error dict for each (``{}`` where there is none).

    ``rows``: resource id → the resource as this dataset has it in the database; a value is "unchanged"
    only against that, since CKAN lets another dataset adopt the id of a deleted resource.
    ``available``: oid → size in bytes of the objects linked to this dataset among `claimed_oids`.
    ``lfs_prefix``: None for a dataset that has no id yet (`new_datasets` writes it then).
    What needs no change comes back as the same dict, so that CKAN still sees it as unchanged.
    """
    settled: list[Mapping[str, Any]] = []
    problems: list[dict[str, list[str]]] = []
    for resource in resources:
        problem: dict[str, list[str]] = {}
        row = rows.get(str(resource.get("id"))) or {}
        names_new = resource.get("sha256") and not _unchanged(resource, rows)
        if resource.get("clear_upload") and row.get("url_type") == "upload" and not names_new:
            # The form's way to let go of a file. Core does not hear of it: it would delete a file of its own.
            resource = {**_without(resource, "clear_upload"), "url_type": ""}
        if resource.get("url_type") != "upload":
            resource = _without(resource, "sha256", "lfs_prefix")
            if stored_oid(row) and resource.get("size") in (None, "", row.get("size")):
                resource = {**resource, "size": ""}  # which core saves as none; without the key it keeps it
        elif not resource.get("sha256"):
            if stored_oid(row):  # a form that does not know our fields keeps the file
                resource = _with(resource, _record(row))
            else:
                resource = _without(resource, "sha256", "lfs_prefix")
        elif not names_new:
            resource = _with(resource, _record(row))
        elif isinstance(resource["sha256"], str) and resource["sha256"] in available:
            resource = _without(resource, "clear_upload")
            resource = _with(resource, _new(resource, available, lfs_prefix, now))
        else:
            problem = {
                "sha256": [
                    gettext(
                        "This dataset has no uploaded file with this sha256. Upload the file to the dataset"
                        " first, then save the resource with the upload's id (upload_id) or with its sha256."
                    )
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
    resource: Mapping[str, Any], available: Mapping[str, int], lfs_prefix: str | None, now: datetime
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
