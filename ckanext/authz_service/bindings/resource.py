"""``res:`` scopes: what CKAN lets a user do with resources.

- ``<resource>``: one resource, by id. CKAN's auth function for each action decides.
- ``<org>/<dataset>/<resource>``: the same, and the resource must be in that dataset, and the dataset in that
  organisation, or in none if that is ``-``.
- ``<org>/<dataset>/``: the dataset as a place for resources: ``create``.
- ``<org>/<dataset>/*``: that, and every resource in it, if CKAN allows the action for each that is there now,
  and lets the user read (for ``read``) or update the dataset itself.
- ``*``, or no ref: every resource of the site, which only sysadmins are granted.

The subscopes ``data`` and ``metadata`` follow the resource: CKAN has no separate permissions for them.
"""

from __future__ import annotations

from functools import partial

from ckan import model
from ckan.types import Context

from ckanext.authz_service.authorizer import Authzzie, Granted
from ckanext.authz_service.bindings import entities
from ckanext.authz_service.permissions import allowed, allowed_everywhere, note, once

# Action → the auth function that decides about it for one resource.
_CHECKS = {
    "read": "resource_show",
    "update": "resource_update",
    "patch": "resource_patch",
    "delete": "resource_delete",
}
_NOTHING = Granted(())


def register(authorizer: Authzzie) -> None:
    """Bind each action by itself, so that asking for one costs one check."""
    authorizer.register_entity_ref_parser("res", parse_ref)
    for action in (*_CHECKS, "create"):
        authorizer.register_authorizer(
            "res", partial(_authorize, action), actions=[action], subscopes=[None, "data", "metadata"]
        )


def parse_ref(ref: str) -> dict[str, str | None]:
    """``id``, ``dataset_id`` and ``organization_id`` of a ref; ``id`` is None for ``<org>/<dataset>/``.

    Raises ValueError for any other number of segments.
    """
    parts = ref.split("/")
    if len(parts) == 1:
        return {"id": ref, "dataset_id": None, "organization_id": None}
    if len(parts) != 3:
        raise ValueError(
            "its ref must be <resource id>, <org>/<dataset>/<resource id>, <org>/<dataset>/ "
            "or <org>/<dataset>/*"
        )
    return {"id": parts[2] or None, "dataset_id": parts[1], "organization_id": parts[0]}


def _authorize(
    action: str, id: str | None, dataset_id: str | None, organization_id: str | None, context: Context
) -> Granted:
    if id is not None and id != "*":
        dataset = _on_resource(action, id, dataset_id, organization_id, context)
    elif dataset_id is not None:
        dataset = _on_dataset(action, dataset_id, organization_id, id == "*", context)
    else:
        return Granted(
            [action] if allowed_everywhere(_CHECKS.get(action, f"resource_{action}"), context) else ()
        )
    return Granted([action], dataset.id) if dataset else _NOTHING


def _on_resource(
    action: str, resource_id: str, dataset_id: str | None, organization_id: str | None, context: Context
) -> model.Package | None:
    """The resource's dataset if the action is allowed."""
    if action not in _CHECKS:
        note(context, f"{action!r} is for a dataset as a place for resources, <org>/<dataset>/")
        return None
    resource = entities.resource(context, resource_id)
    dataset = entities.dataset(context, resource.package_id) if resource and resource.package_id else None
    if dataset is None or not entities.is_in(context, dataset, organization_id):
        return None
    if dataset_id is not None and dataset_id not in (dataset.id, dataset.name):
        note(context, f"the resource {resource_id!r} is not in the dataset {dataset_id!r}")
        return None
    return dataset if allowed(_CHECKS[action], context, {"id": resource_id}) else None


def _on_dataset(
    action: str, reference: str, organization_id: str | None, everything: bool, context: Context
) -> model.Package | None:
    """The dataset if the action is allowed for it or, with ``everything``, for all its resources."""
    dataset = entities.dataset(context, reference)
    if dataset is None or not entities.is_in(context, dataset, organization_id):
        return None
    if action == "create":
        granted = allowed("resource_create", context, {"package_id": dataset.id})
    elif everything:
        on_dataset = "package_show" if action == "read" else "package_update"
        granted = allowed(on_dataset, context, {"id": dataset.id}) and entities.allowed_on_each(
            _CHECKS[action], context, once(context, ("resources", dataset.id), lambda: _resources_of(dataset))
        )
    else:
        note(context, f"{action!r} is for resources; <org>/<dataset>/* asks for all of the dataset's")
        granted = False
    return dataset if granted else None


def _resources_of(dataset: model.Package) -> list[str]:
    query = model.Session.query(model.Resource.id).filter_by(package_id=dataset.id)
    return [row.id for row in query.filter(model.Resource.state != model.State.DELETED)]
