"""``org:`` scopes: what CKAN lets a user do with organisations.

- ``<organisation>``: one organisation, by name or id. CKAN's auth function for each action decides.
- ``*``, or no ref: ``create`` and ``list``, as CKAN allows them; all else, on every organisation of the site,
  is for sysadmins.

What may be done with the datasets of an organisation is asked with ``ds:`` scopes.
"""

from __future__ import annotations

from functools import partial

from ckan.types import Context

from ckanext.authz_service.authorizer import Authzzie
from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, allowed_everywhere, note

# Action → the auth function that decides about it for one organisation, and for no particular one.
_CHECKS = {
    "read": "organization_show",
    "update": "organization_update",
    "patch": "organization_patch",
    "delete": "organization_delete",
    "purge": "organization_purge",
}
_SITE_WIDE = {"create": "organization_create", "list": "organization_list"}


def register(authorizer: Authzzie) -> None:
    """Bind each action by itself, so that asking for one costs one check."""
    authorizer.register_entity_ref_parser("org", parse_ref)
    for action in (*_CHECKS, *_SITE_WIDE):
        authorizer.register_authorizer("org", partial(_authorize, action), actions=[action])


def parse_ref(ref: str) -> dict[str, str | None]:
    """``id`` of a ref, None for all organisations. Raises ValueError for more than one segment."""
    if "/" in ref:
        raise ValueError("its ref must be the name or id of an organisation, or '*'")
    return {"id": None if ref == "*" else ref}


def _authorize(action: str, id: str | None, context: Context) -> list[str]:
    return [action] if _is_allowed(action, id, context) else []


def _is_allowed(action: str, reference: str | None, context: Context) -> bool:
    if reference is None:
        if action in _SITE_WIDE:
            return allowed(_SITE_WIDE[action], context)
        return allowed_everywhere(_CHECKS[action], context)
    if action not in _CHECKS:
        note(context, f"{action!r} is not about one organisation; ask for org:*:{action}")
        return False
    organization = entities.organization(context, reference)
    return organization is not None and allowed(_CHECKS[action], context, {"id": organization.id})
