"""Files that arrive with the save itself: ``upload=`` of the API and of the form without JavaScript.

CKAN's own uploader would write them while the dataset's row is locked. Here the file goes to the store first,
on connections of its own, and the save then names its upload like that of any other file. If the save fails
afterwards, nothing refers to the bytes and they are collected as garbage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model
from werkzeug.datastructures import FileStorage

from ckanext.external_storage import config, errors, words
from ckanext.external_storage.transfer import beginning, bringing

#: What replaces ``upload`` in a resource: `resources.settle` completes it from our record.
Fields = Mapping[str, Any]


def has_files(data: Any) -> bool:
    """Does a resource in *data* bring a file, or an empty file field?"""
    found: list[FileStorage] = []

    def note(file: FileStorage) -> Fields:
        found.append(file)
        return {}

    replace_files(data, note)
    return bool(found)


def replace_files(data: Any, take: Callable[[FileStorage], Fields]) -> Any:
    """A copy of *data* in which every file of a resource is replaced by what *take* says of it.

    Files are ``upload`` in any dict inside, and ``…__upload`` in the flattened keys of ``package_revise``.
    """
    if isinstance(data, list):
        return [replace_files(item, take) for item in data]
    if not isinstance(data, Mapping):
        return data
    replaced: dict[str, Any] = {}
    files: dict[str, FileStorage] = {}
    for key, value in data.items():
        if isinstance(value, FileStorage) and (key == "upload" or str(key).endswith("__upload")):
            files[key.removesuffix("upload")] = value
        else:
            replaced[key] = replace_files(value, take)
    for prefix, file in files.items():
        replaced.update({prefix + name: value for name, value in take(file).items()})
    return replaced


def limit() -> int | None:
    """Bytes that a file which comes with a save may have; None for any size."""
    of_a_form, of_any = tk.config["ckan.max_resource_size"], config.upload_limits().max_size
    limits = [of_a_form << 20] if of_a_form else []
    return min([*limits, of_any] if of_any is not None else limits, default=None)


def store(context: Any, package_id: str | None, file: FileStorage, owner_org: str | None = None) -> Fields:
    """Bring one file into the dataset, or for one that is about to be created in *owner_org*.

    The caller has checked that the user may do so. Raises ValidationError if the file is too large or the
    store does not take it.
    """
    if not file:  # a form sends its file field without a name when nothing was chosen
        return {}
    size = file.stream.seek(0, os.SEEK_END)
    most = limit()
    if most is not None and size > most:
        raise tk.ValidationError({"upload": [words.too_large_for_a_form(size, most)]})
    user = model.User.get(context.get("user"))
    user_id, now = user.id if user else "", datetime.now(timezone.utc)
    name = (file.filename or "").replace("\\", "/").rsplit("/")[-1]
    model.Session.rollback()  # it is empty (`require_clean_session`) and must not stay open meanwhile
    try:
        engine, store = config.engine(), config.store()
        limits = config.upload_limits()
        beginning.check_size(store, limits, size)  # which knows the store's own limit, too
        beginning.check_name(limits, name)
        id = bringing.take(engine, store, user_id, package_id, owner_org, name, file.stream, now)
    except errors.UploadNotFound as error:
        message = tk._("The dataset was deleted while the file was being stored. Nothing was stored.")
        raise tk.ValidationError({"upload": [message]}) from error
    except errors.StorageError as error:
        raise tk.ValidationError({"upload": [words.said(error)]}) from error
    return {"url": name, "url_type": "upload", "upload_id": id}


def require_clean_session(context: Any) -> None:
    """Raise ValidationError if the caller has changes that are not committed: they would be rolled back.

    Besides, they would hold locks for as long as the file takes to be written.
    """
    if has_changes(context):
        raise tk.ValidationError(
            {
                "upload": [
                    "A file cannot be stored in the middle of a transaction. Upload it to the dataset first"
                    " and save the resource with the upload's id."
                ]
            }
        )


def has_changes(context: Any) -> bool:
    """Does the caller's transaction have changes that are not committed, or somebody else to commit them?"""
    session = model.Session()
    pending = bool(session.new or session.dirty or session.deleted) or session.in_nested_transaction()
    if not pending and session.in_transaction():
        pending = session.execute(sa.select(sa.func.txid_current_if_assigned())).scalar() is not None
    return bool(pending or context.get("defer_commit"))
