"""Asking CKAN what a user may do: the only source of permission for every binding.

One request may hold many scopes about few datasets. Its context carries a `Memory`, so that CKAN is asked
each question once, still with a fresh context per question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import Context

T = TypeVar("T")

_MEMORY = "authz_service_memory"


@dataclass(frozen=True)
class Check:
    """One question to an auth function of CKAN. ``reason`` is why it was refused, in CKAN's words or ours."""

    action: str
    data: Mapping[str, Any]
    allowed: bool
    reason: str = ""


@dataclass
class Memory:
    """What has been asked and found in one request. It must not outlive the request: permissions change.

    ``steps`` tells it in order, for people: checks, and sentences about what was looked up. ``refs`` are all
    that the request asks about, so that what is looked up for one can be looked up for all of them at once.
    """

    refs: Collection[str] = ()
    steps: list[Check | str] = field(default_factory=list)
    found: dict[Hashable, Any] = field(default_factory=dict)


def context_for(user: model.User | None, memory: Memory) -> Context:
    """A new context for the authorizers: this user (None: anonymous), and what the request knows already."""
    found: dict[str, Any] = {"user": user.name if user else "", _MEMORY: memory}
    if user:
        found["auth_user_obj"] = user
    return cast(Context, found)


def once(context: Context, key: Hashable, find: Callable[[], T]) -> T:
    """``find()``, or what it returned before for this key in the same request."""
    memory = _memory(context)
    if memory is None:
        return find()
    if key not in memory.found:
        memory.found[key] = find()
    return memory.found[key]


def asked_about(context: Context) -> Collection[str]:
    """The refs of all scopes of the request, if it was told; none outside of a request for a token."""
    memory = _memory(context)
    return memory.refs if memory else ()


def note(context: Context, sentence: str) -> None:
    """Say why something was found or not; ``ckan authz explain`` shows it."""
    memory = _memory(context)
    if memory is not None:
        memory.steps.append(sentence)


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
    data = dict(data_dict or {})
    asking = fresh_context(context)
    key = ("check", asking.get("user"), action, tuple(sorted(data.items())))
    try:
        hash(key)
    except TypeError:  # a list among the data
        return _check(action, asking, data, context)
    return once(context, key, lambda: _check(action, asking, data, context))


def _check(action: str, asking: Context, data: dict[str, Any], context: Context) -> bool:
    refused = ""
    try:
        tk.check_access(action, asking, dict(data))
    except tk.NotAuthorized as error:
        refused = str(error) or "CKAN gives no reason"
    except tk.ObjectNotFound:
        refused = "there is no such object"
    memory = _memory(context)
    if memory is not None:
        memory.steps.append(Check(action, data, not refused, refused))
    return not refused


def allowed_everywhere(action: str, context: Context) -> bool:
    """Whether CKAN lets the caller's user do this with whatever there is and will be.

    That is said of sysadmins only, and not of them where an auth function looks at sysadmins like at anybody
    else (``auth_sysadmins_check``).
    """
    function = authz._AuthFunctions.get(action)
    if getattr(function, "auth_sysadmins_check", False):
        note(context, f"{action} looks at sysadmins too, so nobody is granted it for everything at once")
        return False
    return allowed("sysadmin", context)


def _memory(context: Context) -> Memory | None:
    found = context.get(_MEMORY)
    return found if isinstance(found, Memory) else None


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
