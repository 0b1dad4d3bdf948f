"""Who may call the actions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import AuthResult, Context

__all__ = [
    "external_storage_add_files",
    "external_storage_quota_show",
    "external_storage_upload_discard",
    "external_storage_upload_list",
    "external_storage_upload_show",
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


def external_storage_upload_list(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Everybody who is logged in, of their own."""
    return {"success": True}


def external_storage_upload_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Its user, and whoever may update its dataset. The action has found ``upload``."""
    upload = data_dict["upload"]
    user = model.User.get(context.get("user"))
    if user is not None and user.id == upload.user_id:
        return {"success": True}
    if upload.package_id is None:
        return {"success": False}
    tk.check_access("package_update", context, {"id": upload.package_id})
    return {"success": True}


def external_storage_upload_discard(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """The same."""
    return external_storage_upload_show(context, data_dict)


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
