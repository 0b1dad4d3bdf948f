"""Who may call the actions."""

from __future__ import annotations

from typing import Any

from ckan import authz, model
from ckan.types import AuthResult, Context

__all__ = ["external_storage_quota_show"]


def external_storage_quota_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Members of the organisation ``id``. One that does not exist has none."""
    organization = model.Group.get(data_dict.get("id"))
    return {
        "success": organization is not None
        and organization.is_organization
        and authz.has_user_permission_for_group_or_org(organization.id, context.get("user"), "read")
    }
