"""Resources that let go of their file: the file itself stays, because history refers to it.

``clear_upload`` makes core do two things: the resource has no file any more, and the file in CKAN's own
FileStore is removed. Here the first is done in its place, and core is not told to do the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan import model
from werkzeug.datastructures import FileStorage

from ckanext.versioning import reading, snapshot


def without_removal(data_dict: dict[str, Any]) -> dict[str, Any]:
    """What a client sent for a resource, or for a dataset with ``resources``, so that no file is removed.

    The same dict where there is nothing to do. Without an object store history has no files to keep, and
    core does as it does.
    """
    given = data_dict.get("resources")
    found = [data_dict, *(given if isinstance(given, list) else ())]
    clearing = [item for item in found if isinstance(item, Mapping) and item.get("clear_upload")]
    if not clearing or not reading.has_files():
        return data_dict
    stored = _stored([item["id"] for item in clearing if isinstance(item.get("id"), str)])
    cleared = [
        _cleared(item, stored.get(item.get("id"))) if any(item is c for c in clearing) else item
        for item in found
    ]
    return {**cleared[0], "resources": cleared[1:]} if isinstance(given, list) else cleared[0]


def _cleared(resource: Mapping[str, Any], oid: str | None) -> dict[str, Any]:
    """*oid* is the sha256 of the resource's file, if that is in the object store."""
    rest = {key: value for key, value in resource.items() if key != "clear_upload"}
    upload = rest.get("upload")
    if rest.get("sha256") not in (None, "", oid) or (isinstance(upload, FileStorage) and upload):
        return rest  # a new file takes the place of the old one
    if oid:
        rest.pop("size", None)  # of the file; external_storage wrote it
    return {**rest, "url_type": ""}


def _stored(ids: list[str]) -> dict[str, str]:
    """Resource id → sha256, for those whose file is in the object store, in whichever dataset they are."""
    columns: Any = (model.Resource.id, model.Resource.url_type, model.Resource.extras)
    rows = model.Session.query(*columns).filter(columns[0].in_(ids)) if ids else ()
    found = {row.id: snapshot.stored_oid({**(row.extras or {}), "url_type": row.url_type}) for row in rows}
    return {id: oid for id, oid in found.items() if oid}
