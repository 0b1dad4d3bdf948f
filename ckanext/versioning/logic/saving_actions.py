"""Actions that save a dataset: the way back, and core's, which take a message and a base."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.types import Context

from ckanext.versioning import (
    access,
    actor,
    base_revision,
    reading,
    reverting,
    revisions,
    taking_in,
)
from ckanext.versioning.logic import schema
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
    with actor.saying(given.get("version_message") or f"Revert to r{revision.seq}", "revert"):
        saved = tk.get_action("package_update")(tk.fresh_context(context), wanted)
    return {**saved, "new_resource_ids": {old: saved["resources"][place]["id"] for place, old in places}}


@tk.chained_action
def package_update(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with ``version_message`` and ``base_revision``.

    Both are also parameters of ``package_patch``, ``package_revise`` (in ``update``), ``resource_create``,
    ``resource_update``, ``resource_patch`` and ``resource_delete``; ``package_create`` has the message only.
    Neither becomes a part of the dataset. All of them refuse to save what ``package_show`` or
    ``resource_show`` gave for an old revision.

    :param version_message: what is to be said about the revision that this makes, up to 1000 characters
        (optional)
    :type version_message: string
    :param base_revision: the revision that this change was made from, by its id or as in ``r17``: the save is
        refused if the dataset has a newer one. Of several who save at once from one base, exactly one succeeds
        (optional)
    :type base_revision: string

    :raises ValidationError: it is such a dict; the message is not text, or too long; or the dataset has changed
        since. Then the error (status 409) has ``base_revision`` with the reason and what to do, and ``head``:
        ``seq``, ``id``, ``author`` and ``created`` of the newest revision, as in ``dataset_revision_list``.
        Nothing was changed.
    """
    if base := base_revision.take():
        # Given to an action on a resource, which would look into an error of CKAN's for its own fields.
        _check_base(context, data_dict, base)
    return _package_update(original_action, context, data_dict)


@as_ckan_errors
def _package_update(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    rest, given = _ours(data_dict)
    if base := given.get("base_revision"):
        _check_base(context, rest, base)
    return _with_message(original_action, context, rest, given)


def _check_base(context: Context, data_dict: dict[str, Any], base: str) -> None:
    package = model.Package.get(data_dict.get("id") or data_dict.get("name"))
    if package is not None:  # core says what is wrong otherwise
        tk.check_access("package_update", tk.fresh_context(context), {"id": package.id})
        base_revision.check(package.id, base)


def _ours(data_dict: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """*data_dict* as core is to see it, and what it has for us."""
    data_dict = reading.for_saving(data_dict)
    actor.changeset_name()  # what is wrong with it should be said before anything is done
    actor.note(context)
    accepted = schema.saving()
    if not accepted.keys() & data_dict.keys():
        return data_dict, {}
    # A copy: core would keep ours as extras of a resource, and a form that is shown again must not lose them.
    rest = {key: value for key, value in data_dict.items() if key not in accepted}
    return rest, validated(accepted, {key: data_dict[key] for key in accepted if key in data_dict})


def _with_message(original_action: Any, context: Context, rest: Any, given: dict[str, Any]) -> Any:
    if not given:
        return original_action(context, rest)
    with actor.saying(given.get("version_message"), deferred=bool(context.get("defer_commit"))):
        return original_action(context, rest)


def _taking_ours(name: str) -> Any:
    @tk.chained_action
    @as_ckan_errors
    def action(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
        rest, given = _ours(data_dict)
        with base_revision.meant_for(given.get("base_revision")):
            return _with_message(original_action, context, rest, given)

    action.__name__ = name
    action.__doc__ = f"Core's {name}, with what ``package_update`` says."
    return action


package_create = _taking_ours("package_create")
resource_create = _taking_ours("resource_create")
resource_delete = _taking_ours("resource_delete")
resource_patch = _taking_ours("resource_patch")
resource_update = _taking_ours("resource_update")
