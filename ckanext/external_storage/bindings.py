"""``obj:<organisation or namespace>/<dataset>/<sha256 or *>``: who may move which bytes.

Registered through `IAuthorizationBindings`, the door that any plugin may use.
"""

from __future__ import annotations

import re
from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.authz_service.authorizer import Granted
from ckanext.authz_service.permissions import allowed, fresh_context
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
    try:
        package = tk.get_action("package_show")(fresh_context(context), {"id": dataset})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return Granted(frozenset(), None)
    names = {config.namespace(), (package.get("organization") or {}).get("name")}
    if organization not in names or package["state"] == "deleted":
        return Granted(frozenset(), None)
    actions = set()
    if allowed("package_update", context, {"id": package["id"]}):
        actions.add("write")
        if target == "*" or uploads.linked(model.Session.connection(), package["id"], [target]):
            actions.add("read")
    elif _may_read(context, package, target):
        actions.add("read")
    return Granted(frozenset(actions), package["id"])


def _may_read(context: Any, package: dict[str, Any], target: str) -> bool:
    """Every stored file of the dataset as it is now (``*``), or any resource that has this one."""
    stored = [r["id"] for r in package["resources"] if (oid := stored_oid(r)) and target in ("*", oid)]
    checks = (allowed("resource_show", context, {"id": resource_id}) for resource_id in stored)
    return all(checks) if target == "*" else any(checks)
