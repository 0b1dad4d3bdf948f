"""``ds:`` scopes: what CKAN lets a user do with datasets.

- ``<dataset>``: one dataset, by name or id. CKAN's auth function for each action decides.
- ``<org>/<dataset>``: the same, and the dataset must be in that organisation.
- ``<org>/``: the organisation as a place for datasets. ``create`` and ``list``, as CKAN allows them.
- ``<org>/*``: that, and every dataset in it, which only sysadmins are granted.
- ``*``, or no ref: every dataset of the site, which only sysadmins are granted.

No auth function of CKAN speaks about all datasets of an organisation, present and future, and asking about
each present one would cost as many checks as there are datasets. So everybody else asks for the datasets that
are meant.

The subscopes ``data`` and ``metadata`` follow the dataset: CKAN has no separate permissions for them.
"""

from __future__ import annotations

from functools import partial

from ckan import model
from ckan.types import Context

from ckanext.authz_service.authorizer import Authzzie, Granted
from ckanext.authz_service.permissions import allowed

# Action → the auth function that decides about it for one dataset.
_CHECKS = {
    "read": "package_show",
    "update": "package_update",
    "patch": "package_patch",
    "delete": "package_delete",
    "purge": "dataset_purge",
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
    if id == "*" or id is None:
        if organization_id is None:
            granted = _is_sysadmin(context)
        else:
            granted = _in_organization(action, organization_id, id == "*", context)
        return Granted([action]) if granted else _NOTHING
    return _on_dataset(action, id, organization_id, context)


def _on_dataset(action: str, dataset_id: str, organization_id: str | None, context: Context) -> Granted:
    # The object is looked up first because CKAN lets sysadmins do anything with what does not exist.
    dataset = model.Package.get(dataset_id)
    if action not in _CHECKS or dataset is None or not _is_in(dataset, organization_id):
        return _NOTHING
    # From here on by id: between two checks the name could pass to another dataset.
    if not allowed(_CHECKS[action], context, {"id": dataset.id}):
        return _NOTHING
    return Granted([action], dataset.id)


def _is_in(dataset: model.Package, organization_id: str | None) -> bool:
    if organization_id is None:
        return True
    organization = model.Group.get(dataset.owner_org) if dataset.owner_org else None
    return organization is not None and organization_id in (organization.id, organization.name)


def _in_organization(action: str, organization_id: str, everything: bool, context: Context) -> bool:
    organization = model.Group.get(organization_id)
    if organization is None or not organization.is_organization or organization.state != model.State.ACTIVE:
        return False
    if action == "create":
        return allowed("package_create", context, {"owner_org": organization.id})
    if action == "list":
        visible = allowed("organization_show", context, {"id": organization.id})
        return visible and allowed("package_list", context)
    return everything and _is_sysadmin(context)


def _is_sysadmin(context: Context) -> bool:
    return allowed("sysadmin", context)
