"""Who may call the actions. What a token then holds is decided scope by scope, by CKAN's auth functions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import AuthResult, Context

__all__ = ["authz_authorize", "authz_public_key"]


@tk.auth_allow_anonymous_access
def authz_authorize(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Everyone: anonymous users get tokens for what is public. Chain it to narrow that down."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def authz_public_key(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Everyone: without it nobody could check a token."""
    return {"success": True}
