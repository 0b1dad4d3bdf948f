"""What scopes name: organisations, datasets and resources, found once per request.

An object is looked up before CKAN is asked about it, because CKAN lets sysadmins do anything with what does
not exist. All further questions use its id: between two of them its name could pass to another object.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from ckan import authz, model
from ckan.logic.auth import delete, get, patch, update
from ckan.types import Context

from ckanext.authz_service.permissions import allowed, note, once

NO_ORGANIZATION = "-"
"""Stands in a ref where the organisation of a dataset is named that has none. No organisation can be called
so: CKAN's names have two characters or more."""

# CKAN's own auth functions for resources, with those they pass the question on to. They look at nothing but
# the resource's dataset.
_CORE = {
    "resource_show": {"resource_show": get.resource_show},
    "resource_update": {"resource_update": update.resource_update},
    "resource_patch": {"resource_patch": patch.resource_patch, "resource_update": update.resource_update},
    "resource_delete": {"resource_delete": delete.resource_delete},
}


def organization(context: Context, reference: str) -> model.Group | None:
    """The organisation of this name or id, whatever its state."""
    found = once(context, ("group", reference), lambda: model.Group.get(reference))
    if found is None or not found.is_organization:
        note(context, f"there is no organisation {reference!r}")
        return None
    return found


def dataset(context: Context, reference: str) -> model.Package | None:
    """The dataset of this name or id, whatever its state."""
    found = once(context, ("dataset", reference), lambda: model.Package.get(reference))
    if found is None:
        note(context, f"there is no dataset {reference!r}")
    return found


def resource(context: Context, resource_id: str) -> model.Resource | None:
    """The resource of this id, not one that was deleted. Resources have no names that tell them apart."""
    found = once(context, ("resource", resource_id), lambda: model.Session.get(model.Resource, resource_id))
    if found is None or found.state == model.State.DELETED:
        note(context, f"there is no resource {resource_id!r}")
        return None
    return found


def is_in(context: Context, found: model.Package, reference: str | None) -> bool:
    """Whether the dataset is where a ref says: in the organisation of this name or id, or in none (``-``).

    None asks nothing.
    """
    if reference is None:
        return True
    owner = found.owner_org and once(
        context, ("group", found.owner_org), lambda: model.Group.get(found.owner_org)
    )
    names = (owner.id, owner.name) if owner else (NO_ORGANIZATION,)
    if reference not in names:
        note(context, f"the dataset {found.name!r} is in {names[-1]!r} and not in {reference!r}")
        return False
    return True


def allowed_on_each(action: str, context: Context, resource_ids: Iterable[str]) -> bool:
    """Whether CKAN lets the caller's user do this with each of these resources of one dataset.

    As long as CKAN's own auth functions decide, one resource speaks for all of its dataset. Once a plugin has
    put a function in their place or before them, each resource is asked about.
    """
    ids = list(resource_ids)
    if all(authz._AuthFunctions.get(name) is function for name, function in _CORE[action].items()):
        ids = ids[:1]
    return all(allowed(action, context, {"id": resource_id}) for resource_id in ids)


def shown_resources(context: Context, package_id: str, resource_ids: Collection[str]) -> set[str]:
    """Those of *resource_ids*, of any state the dataset ever had, that the caller's user may see.

    The user may read the dataset. CKAN is asked (``resource_show``) about what is a resource of the dataset
    now; about one that it no longer has there is nobody to ask.
    """
    table: Any = model.Resource
    query = sa.select(table.id).where(
        table.package_id == package_id, table.state != model.State.DELETED, table.id.in_(list(resource_ids))
    )
    present = set(model.Session.execute(query).scalars())
    if allowed_on_each("resource_show", context, present):
        return set(resource_ids)
    refused = {id for id in present if not allowed("resource_show", context, {"id": id})}
    return set(resource_ids) - refused
