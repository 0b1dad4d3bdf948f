"""Actions that save a dataset: the way back, and core's with what they take besides."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.types import Context

from ckanext.versioning import (
    access,
    activities,
    actor,
    base_revision,
    clearing,
    loading,
    reading,
    reverting,
    revisions,
    taking_in,
)
from ckanext.versioning.logic import saving, schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated


@as_ckan_errors
def dataset_revert(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Bring back what a dataset was in a revision. That is a change like any other, and makes a new revision.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param revision_ref: which revision, as in ``dataset_revision_show``
    :type revision_ref: string
    :param parts: what comes back: ``fields`` (all but the four named next), ``name``, ``owner_org``,
        ``private``, ``state``, ``resources`` (the whole list), and ids of single resources, of which one that
        was not there then is removed (optional, default: ``["fields", "resources"]``)
    :type parts: list of strings
    :param version_message: why (optional, default: ``Revert to r3``)
    :type version_message: string
    :param base_revision: as in ``package_update`` (optional)
    :type base_revision: string

    :returns: the dataset as ``package_update`` gives it, with ``new_resource_ids``: old id → new id of
        resources whose id another dataset has by now

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the ref is malformed, or fits several ids; there is no such part; a file was not
        kept; the old values do not satisfy the dataset's schema of today; or the dataset has changed since
        ``base_revision``. Nothing was changed.
    """
    given = validated(schema.dataset_revert(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_revert", context, given)
    revision = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])

    kept = taking_in.kept_for_revert(context, package.id, revision, given.get("parts"))
    editing: Any = {**tk.fresh_context(context), "for_edit": True}
    # Locked until package_update commits, and not from the index: what is merged is what is saved over.
    locked: Any = {**editing, "for_update": True, "use_cache": False}
    now = tk.get_action("package_show")(locked, {"id": package.id})
    if "base_revision" in given:
        base_revision.check(package.id, given["base_revision"])
    then = reading.editable(editing, package, revision)
    wanted = reverting.reverted(now, then, given.get("parts"), kept)
    places = reading.take_ids_used_elsewhere(package.id, wanted["resources"])
    message = given.get("version_message") or f"Revert to r{revision.seq}"
    with actor.saying(message, "revert"), actor.watching() as recorded:
        saved = tk.get_action("package_update")(tk.fresh_context(context), wanted)
    if package.id in recorded:
        _after_revert(context, package, revision.seq, saved, recorded[package.id])
    return {**saved, "new_resource_ids": {old: saved["resources"][place]["id"] for place, old in places}}


def _after_revert(context: Context, package: Any, seq: int, saved: dict[str, Any], made: int) -> None:
    """What others are told of it; that cannot undo it any more. *made* is the number of the new revision."""
    actor.note(context)
    activities.reverted(context, package, seq)
    model.repo.commit()
    changed = revisions.changed_files(package.id, made)
    loading.submit(context, [resource for resource in saved["resources"] if resource["id"] in changed])


@tk.chained_action
def package_update(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with what it takes besides.

    This and the other actions named below refuse to save what ``package_show`` or ``resource_show`` gave for
    an old revision.

    These are also parameters of ``package_patch``, ``package_revise`` (in ``update``), ``resource_create``,
    ``resource_update``, ``resource_patch`` and ``resource_delete``; ``package_create`` has all but the base.
    They become no part of the dataset.

    :param version_message: what is to be said about the revision that this makes, up to 1000 characters
        (optional; required for changes where the site or the organisation asks for it)
    :type version_message: string
    :param version_release: release the revision that this makes; if it changes nothing, the newest one
        (optional, default: false)
    :type version_release: bool
    :param version_release_name: name of the release (optional, default: as ``dataset_release_next`` proposes)
    :type version_release_name: string
    :param base_revision: the revision that this change was made from, by its id or as in ``r17``: the save is
        refused if the dataset has a newer one. Of several who save at once from one base, exactly one
        succeeds (optional)
    :type base_revision: string

    :raises ValidationError: it is such a dict; the message is missing, not text, or too long; the name is
        taken or not allowed, or there is no number for the next one; the request's header
        ``X-CKAN-Changeset`` is no name; or the dataset has changed since. Then the error (status 409) has
        ``base_revision`` with the reason and what to do, and ``head``: ``seq``, ``id``, ``author`` and
        ``created`` of the newest revision, as in ``dataset_revision_list``. Nothing was saved. Only if
        somebody else takes the name in the same moment, the dataset is saved and not released, and the error
        says so.
    """
    name_or_id: Any = data_dict.get("id") or data_dict.get("name")
    if base := base_revision.take():
        # Given to an action on a resource, which would look into an error of CKAN's for its own fields.
        base_revision.check_for(context, model.Package.get(name_or_id), base)
    return _package_update(original_action, context, data_dict, lambda: model.Package.get(name_or_id))


@as_ckan_errors
def _package_update(original_action: Any, context: Context, data_dict: dict[str, Any], dataset: Any) -> Any:
    given = clearing.without_removal(data_dict)
    return saving.save(original_action, context, given, dataset, compare=True)


@tk.chained_action
@as_ckan_errors
def package_create(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with the same parameters as ``package_update``."""
    return saving.save(original_action, context, data_dict, lambda: None)


@tk.chained_action
@as_ckan_errors
def resource_create(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with the same parameters as ``package_update``."""
    package_id: Any = data_dict.get("package_id")
    # CKAN 2.11 looks for what it is to remove here already.
    given = clearing.without_removal(data_dict)
    return saving.save(original_action, context, given, lambda: model.Package.get(package_id), resource=True)


def _of_a_resource(name: str, *, removes: bool = False) -> Any:
    @tk.chained_action
    @as_ckan_errors
    def action(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
        id: Any = data_dict.get("id")
        resource = model.Resource.get(id)
        package_id = resource and resource.package_id
        return saving.save(
            original_action, context, data_dict, lambda: model.Package.get(package_id), resource=removes
        )

    action.__name__ = name
    action.__doc__ = f"Core's {name}, with the same parameters as ``package_update``."
    return action


resource_delete = _of_a_resource("resource_delete", removes=True)
resource_patch = _of_a_resource("resource_patch")
resource_update = _of_a_resource("resource_update")
