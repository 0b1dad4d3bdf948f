"""Who may call the actions. What an answer then shows of the history is decided in `access`."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import AuthResult, Context

__all__ = [
    "dataset_release_create",
    "dataset_release_delete",
    "dataset_release_list",
    "dataset_release_next",
    "dataset_release_show",
    "dataset_release_update",
    "dataset_revert",
    "dataset_revision_list",
    "dataset_revision_show",
    "package_show_release",
    "resource_show_release",
    "revision_changes_since",
]


@tk.auth_allow_anonymous_access
def dataset_revision_list(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may read the dataset (``id``)."""
    return _like("package_show", context, data_dict["id"])


@tk.auth_allow_anonymous_access
def dataset_revision_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may read the dataset (``id``)."""
    return _like("package_show", context, data_dict["id"])


def dataset_release_create(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``dataset``)."""
    return _like("package_update", context, data_dict["dataset"])


def dataset_release_update(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``dataset``)."""
    return _like("package_update", context, data_dict["dataset"])


def dataset_release_next(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``dataset``): releases are theirs to make."""
    return _like("package_update", context, data_dict["dataset"])


def dataset_release_delete(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Admins of the dataset's organisation; of a dataset (``dataset``) without one, who created it."""
    package = model.Package.get(data_dict["dataset"])
    if package is not None and package.owner_org:
        return authz.is_authorized(
            "organization_update", tk.fresh_context(context), {"id": package.owner_org}
        )
    user: Any = context.get("auth_user_obj") or model.User.get(context.get("user"))
    if package is not None and user and package.creator_user_id == user.id:
        return _like("package_update", context, package.id)
    return {"success": False, "msg": tk._("Only who created this dataset may delete its releases.")}


def dataset_revert(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``dataset``)."""
    return _like("package_update", context, data_dict["dataset"])


@tk.auth_allow_anonymous_access
def dataset_release_show(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may read the dataset (``dataset``)."""
    return _like("package_show", context, data_dict["dataset"])


@tk.auth_allow_anonymous_access
def dataset_release_list(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may read the dataset (``dataset``)."""
    return _like("package_show", context, data_dict["dataset"])


@tk.auth_allow_anonymous_access
def package_show_release(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may read the dataset (``dataset``)."""
    return _like("package_show", context, data_dict["dataset"])


@tk.auth_allow_anonymous_access
def resource_show_release(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Anybody may ask: what is answered is decided by ``resource_show``, to which the question goes on."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def revision_changes_since(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may search for datasets. Of which ones they are told is decided by permission labels, too."""
    return authz.is_authorized("package_search", tk.fresh_context(context), {})


def _like(core: str, context: Context, name_or_id: str) -> AuthResult:
    # A context of its own: on 2.11 a `package` left in the caller's would be checked instead.
    return authz.is_authorized(core, tk.fresh_context(context), {"id": name_or_id})
