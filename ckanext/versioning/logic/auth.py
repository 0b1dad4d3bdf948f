"""Who may call the actions. What an answer then shows of the history is decided in `access`."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz
from ckan.types import AuthResult, Context

__all__ = [
    "dataset_release_create",
    "dataset_release_list",
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


def dataset_revert(context: Context, data_dict: dict[str, Any]) -> AuthResult:
    """Whoever may update the dataset (``dataset``)."""
    return _like("package_update", context, data_dict["dataset"])


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
