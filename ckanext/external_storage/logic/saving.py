"""The one place that every save passes: fields of stored files are written from our own records."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.external_storage import config, errors, new_datasets, resources, server_files, words
from ckanext.external_storage.transfer import attaching, beginning, links

_Resources = list[dict[str, Any]]


def settled(context: Any, package_id: str, data_dict: dict[str, Any]) -> dict[str, Any]:
    """*data_dict* of a dataset that exists, as it may be saved. Raises ValidationError, NotAuthorized."""
    given = _given_resources(data_dict)
    if given is None:
        return data_dict
    rows = _rows(package_id)
    if not any(_may_have_file(item) for item in [*given, *rows.values()]):
        return data_dict
    ids = resources.named_uploads(given)
    if ids or resources.claimed_oids(given, rows):
        # Before anything is said about files, and before a row is locked.
        _check_access("package_update", context, {"id": package_id})
    connection = model.Session.connection()
    found, problems = resources.with_uploads(given, attaching.of_dataset(connection, package_id, ids), tk._)
    claimed = resources.claimed_oids(found, rows)
    available = links.use(connection, package_id, claimed) if claimed else {}
    missing = claimed - available.keys()
    if missing and server_files.find(context, package_id, found, missing):
        available = links.use(connection, package_id, claimed)
    prefix = f"{config.namespace()}/{package_id}"
    result, more = resources.settle(found, rows, available, prefix, _now(), tk._)
    _refuse(problems, more, _refused_names(result, claimed))
    return {**data_dict, "resources": result}


def create_dataset(core: Any, context: Any, data_dict: dict[str, Any], owner_org: str | None) -> Any:
    """Create a dataset (*core* does it) that takes the files which its user uploaded for it.

    Raises ValidationError, NotAuthorized, and whatever *core* does.
    """
    given = _given_resources(data_dict)
    if given is None or not any(_may_have_file(item) for item in given):
        return core(context, data_dict)
    _check_access("package_create", context, data_dict)
    user = model.User.get(context.get("user"))
    user_id = user.id if user else ""
    ids = resources.named_uploads(given)
    uploads = attaching.of_user(model.Session.connection(), user_id, owner_org, ids, _now())
    found, problems = resources.with_uploads(given, uploads, tk._)
    available = {upload.oid: upload.size for upload in uploads.values() if upload.oid}
    result, more = resources.settle(found, {}, available, None, _now(), tk._)
    _refuse(problems, more, _refused_names(result, available))
    with new_datasets.bringing(user_id, config.namespace(), uploads.values()):
        return core(context, {**data_dict, "resources": result})


def _check_access(action: str, context: Any, data_dict: dict[str, Any]) -> None:
    # A copy: the check leaves objects in it that the action itself must not find there.
    copy: Any = dict(context)
    tk.check_access(action, copy, data_dict)


def _given_resources(data_dict: dict[str, Any]) -> _Resources | None:
    given = data_dict.get("resources")
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        return None  # absent, or for core's validators to refuse
    return given


def _may_have_file(resource: dict[str, Any]) -> bool:
    return resource.get("url_type") == "upload" or "sha256" in resource or "upload_id" in resource


def _refused_names(result: Iterable[Mapping[str, Any]], new: Container[str]) -> list[dict[str, list[str]]]:
    """However a *new* file (its sha256) has come, it gets its name here: an error dict for each resource."""
    limits, problems = config.upload_limits(), []
    for resource in result:
        problem: dict[str, list[str]] = {}
        if (oid := resources.stored_oid(resource)) and oid in new:
            try:
                beginning.check_name(limits, resources.filename(resource))
            except errors.TypeRefused as error:
                problem = {"upload": [words.said(error)]}
        problems.append(problem)
    return problems


def _refuse(*lists: Iterable[dict[str, list[str]]]) -> None:
    # A save may be refused for the upload or for what came of it, never for both.
    problems = [next(filter(None, of_one), {}) for of_one in zip(*lists, strict=True)]
    if any(problems):
        model.Session.rollback()
        error: Any = {"resources": problems}
        raise tk.ValidationError(error)


def _rows(package_id: str) -> dict[str, dict[str, Any]]:
    """Resource id → its fields as the dataset has them in the database."""
    table: Any = model.Resource
    columns = table.id, table.url_type, table.size, table.extras
    found = model.Session.execute(sa.select(*columns).where(table.package_id == package_id))
    return {row.id: {**(row.extras or {}), "url_type": row.url_type, "size": row.size} for row in found}


def _now() -> datetime:
    return datetime.now(timezone.utc)
