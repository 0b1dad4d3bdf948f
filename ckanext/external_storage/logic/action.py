"""Core actions that we chain; each passes on to the next one with a checked copy of its input."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.external_storage import config, resources
from ckanext.external_storage.transfer import uploads

__all__ = ["dataset_purge", "package_create", "package_update"]

# Every way to save a resource passes package_create or package_update exactly once.


@tk.chained_action
def package_create(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """A dataset that does not exist yet has no files: resources can only be links."""
    return original_action(context, _settled(context, None, data_dict))


@tk.chained_action
def package_update(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """Fields of stored files are written from our record (see ``resources``)."""
    package = model.Package.get(data_dict.get("id") or data_dict.get("name"))
    if package is not None:  # if it is, core says so
        data_dict = _settled(context, package.id, data_dict)
    return original_action(context, data_dict)


@tk.chained_action
def dataset_purge(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    """The dataset's claims to bytes go in the transaction that purges it."""
    tk.check_access("dataset_purge", dict(context), data_dict)
    package = model.Package.get(data_dict.get("id"))
    if package is not None:
        uploads.forget_dataset(model.Session.connection(), package.id, _now())
    return original_action(context, data_dict)


def _settled(context: Any, package_id: str | None, data_dict: dict[str, Any]) -> dict[str, Any]:
    given = data_dict.get("resources")
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        return data_dict  # absent, or for core's validators to refuse
    if not any(item.get("url_type") == "upload" or "sha256" in item for item in given):
        return data_dict
    rows = _rows(package_id)
    claimed = resources.claimed_oids(given, rows)
    available: dict[str, int] = {}
    if package_id and claimed:
        # Before anything is said about files, and before a row is locked.
        tk.check_access("package_update", dict(context), {"id": package_id})
        available = uploads.use(model.Session.connection(), package_id, claimed)
    prefix = f"{config.namespace()}/{package_id}"
    settled, problems = resources.settle(given, rows, available, prefix, _now())
    if any(problems):
        model.Session.rollback()
        raise tk.ValidationError({"resources": problems})
    return {**data_dict, "resources": settled}


def _rows(package_id: str | None) -> dict[str, dict[str, Any]]:
    """Resource id → its fields as the dataset has them in the database."""
    if package_id is None:
        return {}
    columns = model.Resource.id, model.Resource.url_type, model.Resource.size, model.Resource.extras
    found = model.Session.execute(sa.select(*columns).where(model.Resource.package_id == package_id))
    return {row.id: {**(row.extras or {}), "url_type": row.url_type, "size": row.size} for row in found}


def _now() -> datetime:
    return datetime.now(timezone.utc)
