"""``obj:<organisation or namespace>/<dataset>/<sha256 or *>``: who may move which bytes.

Registered through `IAuthorizationBindings`, the door that any plugin may use.
"""

from __future__ import annotations

import re
from typing import Any

from ckan import model

from ckanext.authz_service.authorizer import Granted
from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, note, once
from ckanext.external_storage import config
from ckanext.external_storage.resources import stored_oid
from ckanext.external_storage.transfer import uploads

_REF = re.compile(r"([^/*]+)/([^/*]+)/(\*|[0-9a-f]{64})")


def register(authorizer: Any) -> None:
    """Teach *authorizer* (an `Authzzie`) the entity ``obj`` with the actions ``read`` and ``write``."""
    authorizer.register_entity_ref_parser("obj", parse_ref)
    authorizer.register_authorizer("obj", authorize, actions={"read", "write"})
    authorizer.register_action_alias("update", "write", "obj")  # what blob-storage called it


def parse_ref(ref: str) -> dict[str, str]:
    """The three parts of an ``obj`` reference. Raises ValueError for anything else."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise ValueError("expected <organisation or namespace>/<dataset>/<sha256 or *>")
    organization, dataset, target = match.groups()
    return {"organization": organization, "dataset": dataset, "target": target}


def authorize(context: Any, organization: str, dataset: str, target: str) -> Granted:
    """``write``: may update the dataset. ``read``: may read the current file(s), or may update.

    "Missing" and "not allowed" answer alike: nothing is granted.
    """
    package = _dataset(context, organization, dataset)
    if package is None or not allowed("package_show", context, {"id": package.id}):
        return Granted(())
    actions = set()
    if allowed("package_update", context, {"id": package.id}):
        actions.add("write")
        if target == "*" or _is_linked(context, package.id, target):
            actions.add("read")
    elif _may_read(context, package.id, target):
        actions.add("read")
    return Granted(actions, package.id)


def _dataset(context: Any, organization: str, reference: str) -> model.Package | None:
    """The dataset, if it is not deleted and is where the ref says.

    The namespace stands for any organisation.
    """
    found = entities.dataset(context, reference)
    if found is None:
        return None
    if found.state == model.State.DELETED:
        note(
            context, f"the dataset {found.name!r} is deleted, and its files are nobody's until it is restored"
        )
        return None
    if organization != config.namespace() and not entities.is_in(context, found, organization):
        return None
    return found


def _is_linked(context: Any, package_id: str, oid: str) -> bool:
    linked = uploads.linked(model.Session.connection(), package_id, [oid])
    if not linked:
        note(context, f"the dataset has not brought the object {oid}")
    return bool(linked)


def _may_read(context: Any, package_id: str, target: str) -> bool:
    """Every stored file of the dataset as it is now (``*``), or any resource that has this one."""
    stored = once(context, ("stored", package_id), lambda: _stored(package_id))
    if target == "*":
        return entities.allowed_on_each("resource_show", context, stored)
    holders = [resource_id for resource_id, oid in stored.items() if oid == target]
    if not holders:
        note(context, f"no resource of the dataset has the object {target} now")
    return any(allowed("resource_show", context, {"id": resource_id}) for resource_id in holders)


def _stored(package_id: str) -> dict[str, str]:
    """Resource id → oid of its stored file, for the resources that have one."""
    columns: Any = (model.Resource.id, model.Resource.url_type, model.Resource.extras)
    query = model.Session.query(*columns).filter_by(package_id=package_id)
    rows = query.filter(model.Resource.state != model.State.DELETED)
    found = {row.id: stored_oid({"url_type": row.url_type, **(row.extras or {})}) for row in rows}
    return {resource_id: oid for resource_id, oid in found.items() if oid}
