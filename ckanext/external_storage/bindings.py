"""``obj:<organisation or namespace>/<dataset>/<sha256 or *>``: who may move which bytes.

Registered through `IAuthorizationBindings`, the door that any plugin may use.
"""

from __future__ import annotations

import re
from typing import Any

from ckan import model

from ckanext.authz_service.authorizer import Granted
from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, asked_about, note, once
from ckanext.external_storage import config, read_permission

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
    """``write``: may update the dataset. ``read`` of one file: `read_permission.readable`. ``read`` of ``*``,
    which is the files of the present resources: may see each of these, or may update.

    "Missing" and "not allowed" answer alike: nothing is granted.
    """
    package = _dataset(context, organization, dataset)
    if package is None or not allowed("package_show", context, {"id": package.id}):
        return Granted(())
    actions = set()
    if allowed("package_update", context, {"id": package.id}):
        actions.add("write")
    if _may_read(context, package.id, target):
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


def _may_read(context: Any, package_id: str, target: str) -> bool:
    if target == "*":
        stored = read_permission.stored(context, package_id)
        return allowed("package_update", context, {"id": package_id}) or entities.allowed_on_each(
            "resource_show", context, stored
        )
    # A request may name many files of a dataset; they are looked up together.
    oids = frozenset(ref.rpartition("/")[2] for ref in asked_about(context)) - {"*"} | {target}
    key = ("readable", package_id, oids)
    readable = once(context, key, lambda: read_permission.readable(context, package_id, oids))
    if target not in readable:
        note(context, f"no file of the dataset that the user may see has the sha256 {target}")
    return target in readable
