"""Actions that save a dataset: the way back, and core's, which take a message."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import Context

from ckanext.versioning import access, actor, clearing, reading, reverting, revisions, taking_in
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

    :returns: the dataset as ``package_update`` gives it, with ``new_resource_ids``: old id → new id of
        resources whose id another dataset has by now

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the ref is malformed, or fits several ids; there is no such part; a file was not
        kept; or the old values do not satisfy the dataset's schema of today. Nothing was changed.
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
    then = reading.editable(editing, package, revision)
    wanted = reverting.reverted(now, then, given.get("parts"), kept)
    places = reading.take_ids_used_elsewhere(package.id, wanted["resources"])
    with actor.saying(given.get("version_message") or f"Revert to r{revision.seq}", "revert"):
        saved = tk.get_action("package_update")(tk.fresh_context(context), wanted)
    return {**saved, "new_resource_ids": {old: saved["resources"][place]["id"] for place, old in places}}


@tk.chained_action
@as_ckan_errors
def package_update(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with ``version_message``.

    This and the other actions named below refuse to save what ``package_show`` or ``resource_show`` gave for
    an old revision.

    :param version_message: what is to be said about the revision that this makes, up to 1000 characters. It
        becomes no part of the dataset. Also a parameter of ``package_create``, ``package_patch``,
        ``package_revise`` (in ``update``), ``resource_create``, ``resource_update``, ``resource_patch`` and
        ``resource_delete`` (optional)
    :type version_message: string

    :raises ValidationError: it is such a dict; the message is not text, or too long
    """
    return _with_message(original_action, context, clearing.without_removal(data_dict))


def _with_message(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    data_dict = reading.for_saving(data_dict)
    if "version_message" not in data_dict:
        return original_action(context, data_dict)
    # A copy: core would keep it as an extra of a resource, and a form that is shown again must not lose it.
    rest = {key: value for key, value in data_dict.items() if key != "version_message"}
    given = validated(schema.version_message(), {"version_message": data_dict["version_message"]})
    with actor.saying(given.get("version_message"), deferred=bool(context.get("defer_commit"))):
        return original_action(context, rest)


def _taking_a_message(name: str) -> Any:
    @tk.chained_action
    @as_ckan_errors
    def action(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
        return _with_message(original_action, context, data_dict)

    action.__name__ = name
    action.__doc__ = f"Core's {name}, with ``version_message`` as in ``package_update``."
    return action


@tk.chained_action
@as_ckan_errors
def resource_create(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with ``version_message`` as in ``package_update``."""
    # CKAN 2.11 looks for what it is to remove here already.
    return _with_message(original_action, context, clearing.without_removal(data_dict))


package_create = _taking_a_message("package_create")
resource_delete = _taking_a_message("resource_delete")
resource_patch = _taking_a_message("resource_patch")
resource_update = _taking_a_message("resource_update")
