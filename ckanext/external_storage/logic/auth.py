"""Who may call the actions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import AuthResult, Context

__all__ = [
    "external_storage_add_files",
    "external_storage_quota_show",
    "get_resource_download_spec",
    "resource_sample_show",
    "resource_schema_show",
]


def external_storage_add_files(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``package_id``)."""
    tk.check_access("package_update", context, {"id": data_dict["package_id"]})
    return {"success": True}


def external_storage_quota_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Members of the organisation ``id``. One that does not exist has none."""
    organization = model.Group.get(data_dict.get("id"))
    return {
        "success": organization is not None
        and organization.is_organization
        and authz.has_user_permission_for_group_or_org(organization.id, context.get("user"), "read")
    }


@tk.auth_allow_anonymous_access
def get_resource_download_spec(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may see the resource."""
    return _may_see(context, data_dict)


@tk.auth_allow_anonymous_access
def resource_schema_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may see the resource."""
    return _may_see(context, data_dict)


@tk.auth_allow_anonymous_access
def resource_sample_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may see the resource."""
    return _may_see(context, data_dict)


def _may_see(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    tk.check_access("resource_show", context, {"id": data_dict["id"]})
    return {"success": True}
