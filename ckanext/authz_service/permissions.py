"""Asking CKAN what a user may do: the only source of permission for every binding."""

from __future__ import annotations

from typing import Any, cast

import ckantoolkit as tk
from ckan import model
from ckan.types import Context


def fresh_context(context: Context) -> Context:
    """A new context for the caller's user, with nothing else in it.

    ``ignore_auth`` would grant everything, and an object left by an earlier check (``package``, ``resource``)
    would be judged in place of the one asked about. The user comes from this context only, never from the
    request that happens to be running. A user object is kept if it has that name, to save a query per check.
    """
    user = context.get("user") or ""
    found: dict[str, Any] = {"user": user}
    known = context.get("auth_user_obj")
    if user and isinstance(known, model.User) and known.name == user:
        found["auth_user_obj"] = known
    return cast(Context, found)


def allowed(action: str, context: Context, data_dict: dict[str, Any] | None = None) -> bool:
    """Whether CKAN lets the caller's user do this. A missing object and a refusal are both False.

    action: name of an auth function, for example ``package_update``.

    Raises ValueError if no such auth function exists.
    """
    try:
        tk.check_access(action, fresh_context(context), dict(data_dict or {}))
    except (tk.NotAuthorized, tk.ObjectNotFound):
        return False
    return True


def active_user(context: Context) -> model.User | None:
    """The caller's account, None for an anonymous caller.

    As in CKAN's own checks, a name without an account is anonymous. Raises NotAuthorized for an account that
    is not active: whoever is deactivated gets nothing, not even what is public, because the token would name
    somebody who may no longer act here.
    """
    name = context.get("user")
    user = model.User.get(name) if name else None
    if user is not None and user.state != model.State.ACTIVE:
        raise tk.NotAuthorized(
            "This account is not active, so no token is issued for it. An administrator can activate it."
        )
    return user
