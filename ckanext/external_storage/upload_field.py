"""What CKAN's resource form must know to send a file before it is saved. Nothing of it is secret."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import ckantoolkit as tk
from ckan import model, plugins

from ckanext.authz_service.permissions import allowed
from ckanext.external_storage import config, errors, resources
from ckanext.external_storage.interfaces import IObjectHolders
from ckanext.external_storage.transfer import attaching, beginning, uploads

#: Unfinished uploads that the form reminds of; there is a page of all of them.
_REMINDED = 3
#: Served from this plugin's public directory, so that a policy of ``worker-src 'self'`` lets it run.
_WORKER = "/external_storage/hash_worker.js"


def settings(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """See `helpers.external_storage_upload_field`."""
    user = tk.current_user
    package = _dataset(data)
    context: Any = {"user": user.name, "auth_user_obj": user}
    if user.is_anonymous or package is None or not allowed("package_update", context, {"id": package.id}):
        return None
    organization = model.Group.get(package.owner_org) if package.owner_org else None
    limits, connection = config.upload_limits(), model.Session.connection()
    most: float = math.inf if limits.max_size is None else limits.max_size
    try:
        store = config.store()
        most = beginning.largest(store, limits)
    except errors.StorageError:
        pass  # an upload will say what is wrong
    present = _present(data, package.id)
    arrived = attaching.of_dataset(connection, package.id, resources.named_uploads([data]))
    return {
        "lfs_url": config.lfs_url(),
        "site_root": tk.url_for("home.index", locale="default").rstrip("/"),
        "organization": organization.name if organization else None,
        "namespace": config.namespace(),
        "dataset": package.id,
        "max_size": None if math.isinf(most) else int(most),
        "hash_first_max": config.hash_first_max(),
        "refused_types": sorted(limits.refused_types),
        "worker": tk.h.url_for_static(_WORKER),
        "present": present and {"name": resources.filename(present), "size": present["size"]},
        "kept": bool(present and _kept(context, package.id, resources.stored_oid(present))),
        "arrived": next(
            (
                {"id": upload.id, "name": upload.filename, "size": upload.size, "oid": upload.oid}
                for upload in arrived.values()
                if upload.state == "verified"
            ),
            None,
        ),
        "unfinished": [
            {"name": upload.filename, "size": upload.size}
            for upload in uploads.unfinished(connection, user.id, 100)
            if upload.package_id == package.id and upload.filename and upload.state == "open"
        ][:_REMINDED],
    }


def _dataset(data: Mapping[str, Any]) -> Any:
    """The form does not hand its dataset on to the field: the address of the page has it."""
    given = data.get("package_id") or (tk.request.view_args or {}).get("id")
    package = model.Package.get(given) if isinstance(given, str) and given else None
    return package if package and package.state != model.State.DELETED else None


def _present(data: Mapping[str, Any], package_id: str) -> dict[str, Any] | None:
    """The resource that is being edited, if it has a file now: its ``url``, ``size`` and the rest."""
    resource = model.Resource.get(data["id"]) if isinstance(data.get("id"), str) and data["id"] else None
    if resource is None or resource.package_id != package_id or resource.url_type != "upload":
        return None
    return {**(resource.extras or {}), "url_type": "upload", "url": resource.url, "size": resource.size}


def _kept(context: Any, package_id: str, oid: str | None) -> bool:
    """Whether somebody keeps the state of the dataset that has this file."""
    return oid is not None and any(
        any(plugin.object_holders(context, package_id, [oid]))
        for plugin in plugins.PluginImplementations(IObjectHolders)
    )
