"""Who may call the actions. What a token then holds is decided scope by scope, by CKAN's auth functions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import AuthResult, Context

from ckanext.authz_service import config, ledger

__all__ = [
    "authz_authorize",
    "authz_public_key",
    "authz_token_list",
    "authz_token_revoke",
    "authz_verify",
]


@tk.auth_allow_anonymous_access
def authz_authorize(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Everyone: anonymous users get tokens for what is public. Chain it to narrow that down."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def authz_public_key(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Everyone: without it nobody could check a token."""
    return {"success": True}


@tk.auth_allow_anonymous_access
def authz_verify(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Everyone: servers that check tokens have no account here, and who asks already has the token."""
    return {"success": True}


def authz_token_list(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Users their own; sysadmins all."""
    return _own(context, (data_dict or {}).get("user_id"))


def authz_token_revoke(context: Context, data_dict: dict[str, Any] | None = None) -> AuthResult:
    """Users their own; sysadmins all."""
    jti = (data_dict or {}).get("jti")
    if isinstance(jti, str):
        with ledger.opened(config.engine()) as connection:
            # "": no user's id, where None would stand for the caller's own.
            return _own(context, ledger.owner(connection, jti) or "")
    return _own(context, (data_dict or {}).get("user_id"))


def _own(context: Context, user: object) -> AuthResult:
    # No name of one user can be another's id: CKAN sees to that when names are given.
    me = context.get("auth_user_obj")
    if me is not None and (user is None or user in (me.id, me.name)):
        return {"success": True}
    return {
        "success": False,
        "msg": tk._("The issued tokens of others can be seen and revoked by sysadmins only."),
    }
