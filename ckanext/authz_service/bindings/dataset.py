"""``ds:`` scopes: what CKAN lets a user do with datasets.

- ``<dataset>``: one dataset, by name or id. CKAN's auth function for each action decides.
- ``<org>/<dataset>``: the same, and the dataset must be in that organisation, or in none if that is ``-``.
- ``<org>/``: the organisation as a place for datasets. ``create`` and ``list``, as CKAN allows them.
- ``<org>/*``: that, and every dataset in it.
- ``*``, or no ref: every dataset of the site, which only sysadmins are granted.

No auth function of CKAN speaks about all datasets of an organisation. So, except for sysadmins, ``<org>/*``
is granted for an action if CKAN allows it for each dataset that is in the organisation now, whatever its
state, and if CKAN counts the user among those who may do it there at all: datasets that come later will be as
open to them. Everybody else, and whoever asks about a large organisation, names the datasets that are meant.

The subscopes ``data`` and ``metadata`` follow the dataset: CKAN has no separate permissions for them.
"""

from __future__ import annotations

from functools import partial

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import Context

from ckanext.authz_service.authorizer import Authzzie, Granted
from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, allowed_everywhere, fresh_context, note, once

MAX_IN_ORGANIZATION = 100
"""Datasets of an organisation up to which ``<org>/*`` asks CKAN about each."""

# Action → the auth function that decides about it for one dataset.
_CHECKS = {
    "read": "package_show",
    "update": "package_update",
    "patch": "package_patch",
    "delete": "package_delete",
    "purge": "dataset_purge",
}
# Action → the permission in an organisation that CKAN gives it by; purging is for sysadmins.
_STANDING = {
    "read": "read",
    "update": "update_dataset",
    "patch": "update_dataset",
    "delete": "update_dataset",
}
_NOTHING = Granted(())


def register(authorizer: Authzzie) -> None:
    """Bind each action by itself, so that asking for one costs one check."""
    authorizer.register_entity_ref_parser("ds", parse_ref)
    for action in (*_CHECKS, "create", "list"):
        authorizer.register_authorizer(
            "ds", partial(_authorize, action), actions=[action], subscopes=[None, "data", "metadata"]
        )


def parse_ref(ref: str) -> dict[str, str | None]:
    """``id`` and ``organization_id`` of a ref; ``id`` is None for ``<org>/``.

    Raises ValueError for more than two segments.
    """
    first, slash, rest = ref.partition("/")
    if not slash:
        return {"id": first, "organization_id": None}
    if "/" in rest:
        raise ValueError("its ref must be <dataset>, <org>/<dataset>, <org>/ or <org>/*")
    return {"id": rest or None, "organization_id": first}


def _authorize(action: str, id: str | None, organization_id: str | None, context: Context) -> Granted:
    if id is not None and id != "*":
        return _on_dataset(action, id, organization_id, context)
    if organization_id is None:
        granted = allowed_everywhere(_CHECKS.get(action, f"package_{action}"), context)
    elif organization_id == entities.NO_ORGANIZATION:
        granted = _without_organization(action, id == "*", context)
    else:
        granted = _in_organization(action, organization_id, id == "*", context)
    return Granted([action]) if granted else _NOTHING


def _on_dataset(action: str, reference: str, organization_id: str | None, context: Context) -> Granted:
    if action not in _CHECKS:
        note(context, f"{action!r} is for a place for datasets, <org>/, and not for one dataset")
        return _NOTHING
    dataset = entities.dataset(context, reference)
    if dataset is None or not entities.is_in(context, dataset, organization_id):
        return _NOTHING
    granted = allowed(_CHECKS[action], context, {"id": dataset.id})
    return Granted([action], dataset.id) if granted else _NOTHING


def _in_organization(action: str, reference: str, everything: bool, context: Context) -> bool:
    organization = entities.organization(context, reference)
    if organization is None or organization.state != model.State.ACTIVE:
        return False
    if action == "create":
        return allowed("package_create", context, {"owner_org": organization.id})
    if action == "list":
        visible = allowed("organization_show", context, {"id": organization.id})
        return visible and allowed("package_list", context)
    if not everything:
        note(context, f"{action!r} is for datasets; <org>/* asks for all of the organisation's")
        return False
    if allowed_everywhere(_CHECKS[action], context):
        return True
    return _has_standing(action, organization, context) and _on_each(action, organization, context)


def _without_organization(action: str, everything: bool, context: Context) -> bool:
    """The place for datasets that belong to no organisation."""
    if action == "create":
        # CKAN's auth function also says yes to whoever may create datasets in some organisation. That these
        # need one then is left to the validator of owner_org, which looks at this option.
        possible = authz.check_config_permission("create_unowned_dataset")
        return bool(possible) and allowed("package_create", context)
    if action == "list":
        return allowed("package_list", context)
    return everything and allowed_everywhere(_CHECKS[action], context)


def _has_standing(action: str, organization: model.Group, context: Context) -> bool:
    """Whether CKAN counts the user among those who may do this with datasets of the organisation."""
    permission = _STANDING.get(action)
    if permission is None:
        return False
    ids = once(context, ("organizations", permission), lambda: _organizations_with(permission, context))
    if organization.id not in ids:
        note(context, f"the user has no role in {organization.name!r} that comes with {permission!r}")
        return False
    return True


def _organizations_with(permission: str, context: Context) -> set[str]:
    """Ids of the organisations in which the user has a role with this permission."""
    try:
        found = tk.get_action("organization_list_for_user")(
            fresh_context(context), {"permission": permission}
        )
    except tk.NotAuthorized:
        return set()
    return {organization["id"] for organization in found}


def _on_each(action: str, organization: model.Group, context: Context) -> bool:
    ids = once(context, ("datasets", organization.id), lambda: _datasets_of(organization))
    if len(ids) > MAX_IN_ORGANIZATION:
        note(
            context,
            f"{organization.name!r} has more than the {MAX_IN_ORGANIZATION} datasets up to which CKAN is "
            "asked about each; ask for the datasets that are meant",
        )
        return False
    return all(allowed(_CHECKS[action], context, {"id": dataset_id}) for dataset_id in ids)


def _datasets_of(organization: model.Group) -> list[str]:
    """Ids of its datasets in any state, up to one more than are looked at."""
    query = model.Session.query(model.Package.id).filter_by(owner_org=organization.id)
    return [row.id for row in query.order_by(model.Package.id).limit(MAX_IN_ORGANIZATION + 1)]
