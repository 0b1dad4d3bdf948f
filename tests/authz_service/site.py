"""Asking a CKAN for tokens, and reading them as a server that trusts it."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.tests import factories

from ckanext.authz_service import config, tokens

ROLES = ("anonymous", "reader", "member", "editor", "admin", "other admin", "sysadmin")


def ask(user: str | None, *scopes: str, **more: Any) -> dict[str, Any]:
    """The answer of ``authz_authorize`` for the user of this name (None: anonymous)."""
    return ask_with({"user": user or ""}, *scopes, **more)


def ask_with(context: Any, *scopes: str, **more: Any) -> dict[str, Any]:
    """The same with everything that a careless caller may have in its context."""
    return tk.get_action("authz_authorize")(context, {"scopes": list(scopes), **more})


def granted(user: str | None, *scopes: str) -> list[str]:
    return ask(user, *scopes)["granted_scopes"]


def opened(answer: dict[str, Any]) -> tokens.VerifiedToken:
    """What the token of an answer proves to a server without an audience of its own."""
    return tokens.verify(
        answer["token"], config.verification_keys(), config.issuer(), config.audience(), config.max_lifetime()
    )


def account(user: dict[str, Any]) -> model.User:
    """The account behind the dict that a factory gave."""
    found = model.User.get(user["id"])
    assert found is not None
    return found


def people() -> tuple[dict[str, Any], dict[str, str | None]]:
    """A new organisation, and the name of one user for each of ``ROLES``."""
    names: dict[str, str | None] = {role: factories.User()["name"] for role in ROLES}
    names["anonymous"] = None
    names["sysadmin"] = factories.Sysadmin()["name"]
    organization = factories.Organization(
        users=[{"name": names[role], "capacity": role} for role in ("member", "editor", "admin")]
    )
    factories.Organization(users=[{"name": names["other admin"], "capacity": "admin"}])
    return organization, names
