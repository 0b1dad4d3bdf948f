"""Who may read stored bytes. To know a sha256, or that a dataset has brought it, opens nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ckan import model, plugins

from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, once
from ckanext.external_storage.interfaces import IObjectHolders
from ckanext.external_storage.resources import stored_oid
from ckanext.external_storage.transfer import links


def readable(context: Any, package_id: str, oids: Collection[str]) -> set[str]:
    """Those of *oids* (sha256) that the user of *context* may read as files of the dataset.

    They may read the dataset now. If they may update it, these are all that the dataset has brought; if not,
    those that a resource has which they may see: one of the dataset as it is, or of an older state
    (`IObjectHolders`). A resource that the dataset still has must be theirs to see now (``resource_show``).

    One statement for each place to look, however many oids.
    """
    if not oids or not allowed("package_show", context, {"id": package_id}):
        return set()
    linked = set(links.linked(model.Session.connection(), package_id, oids))
    if not linked or allowed("package_update", context, {"id": package_id}):
        return linked
    holders = {(oid, resource_id) for resource_id, oid in stored(context, package_id).items()}
    for plugin in plugins.PluginImplementations(IObjectHolders):
        holders.update(plugin.object_holders(context, package_id, linked))
    holders = {(oid, resource_id) for oid, resource_id in holders if oid in linked}
    shown = entities.shown_resources(context, package_id, {resource_id for _, resource_id in holders})
    return {oid for oid, resource_id in holders if resource_id in shown}


def stored(context: Any, package_id: str) -> dict[str, str]:
    """Resource id → oid of its stored file, for those of the dataset's present resources that have one."""
    return once(context, ("stored", package_id), lambda: _stored(package_id))


def _stored(package_id: str) -> dict[str, str]:
    columns: Any = (model.Resource.id, model.Resource.url_type, model.Resource.extras)
    query = model.Session.query(*columns).filter_by(package_id=package_id)
    rows = query.filter(model.Resource.state != model.State.DELETED)
    found = {row.id: stored_oid({"url_type": row.url_type, **(row.extras or {})}) for row in rows}
    return {resource_id: oid for resource_id, oid in found.items() if oid}
