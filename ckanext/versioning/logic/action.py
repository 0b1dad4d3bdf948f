"""The plugin's actions, and the core actions that it chains."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.types import Context

from ckanext.versioning import access, actor, reading, releases, reverting, revisions
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors

__all__ = [
    "dataset_release_create",
    "dataset_release_list",
    "dataset_revert",
    "dataset_revision_list",
    "dataset_revision_show",
    "package_create",
    "package_show",
    "package_update",
    "resource_create",
    "resource_delete",
    "resource_patch",
    "resource_update",
]


@tk.side_effect_free
@as_ckan_errors
def dataset_revision_list(context: Context, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Revisions of a dataset that the caller may see, newest first.

    :param id: id or name of the dataset
    :type id: string
    :param all: every revision; otherwise one line for each changeset (consecutive saves by one author),
        which is its newest revision, and one for each released revision (optional, default: false)
    :type all: bool
    :param limit: how many lines, 1 to 1000 (optional, default: 20)
    :type limit: int
    :param before_seq: only revisions with a lower ``seq``: that of the last line gives the next page
        (optional)
    :type before_seq: int

    :returns: dicts with ``seq`` (1 for the first revision of the dataset), ``id`` (64 hex digits),
        ``created`` (UTC, as in ``2026-05-01T12:00:00.000000Z``), ``author`` (``id`` and ``name``, the display
        name at the time; null if nobody is known), ``message`` (null if there is none), ``origin`` (``web``,
        ``api``, ``job``, ``cli``, ``revert``, or ``baseline`` for the state of a dataset before its history
        began), ``changeset``, ``releases`` (names) and ``summary``: what changed since revision ``seq`` - 1,
        null if the caller may not see that one. A summary has ``fields`` and ``extras`` (names; empty for the
        first revision) and ``resources`` with lists of ids: ``added``, ``removed``, ``bytes`` (another
        file), ``metadata`` (changed, same file) and ``moved``.
    :rtype: list of dicts

    :raises ObjectNotFound: no such dataset, or the caller may not read it
    :raises ValidationError: a parameter is missing or out of range
    """
    given = _validated(schema.dataset_revision_list(), data_dict)
    package = access.readable(context, given["id"], "dataset_revision_list", given)
    return revisions.listing(
        package.id,
        access.viewer(context, package.id),
        all=given["all"],
        limit=given["limit"],
        before_seq=given.get("before_seq"),
    )


@tk.side_effect_free
@as_ckan_errors
def dataset_revision_show(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """One revision of a dataset. What the dataset was then: ``package_show`` with ``revision_ref``.

    :param id: id or name of the dataset
    :type id: string
    :param ref: name of a release, ``latest``, ``head``, ``head~1``, ``r1``, a time, or the beginning of an id
    :type ref: string

    :returns: as in ``dataset_revision_list``, with ``parent`` (id of the revision before, null for the first)
        and ``resources`` in the dataset's order: ``id``, and for a stored file ``sha256`` and ``size`` in
        bytes, otherwise null
    :rtype: dict

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    given = _validated(schema.dataset_revision_show(), data_dict)
    package = access.readable(context, given["id"], "dataset_revision_show", given)
    who = access.viewer(context, package.id)
    return revisions.details(package.id, who, revisions.find(package.id, who, given["ref"]))


@as_ckan_errors
def dataset_release_create(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Name a revision. It and its files can then be read by everybody who may read the dataset.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param name: up to 100 letters (A to Z), digits and ``. _ + , -``; unique in the dataset; nothing that
        could be mistaken for another ref, such as ``latest``, ``r1``, a date or an id
    :type name: string
    :param description: notes on the release (optional)
    :type description: string
    :param title: free text to show instead of the name (optional)
    :type title: string
    :param revision_ref: which revision, as in ``dataset_revision_show`` (optional, default: ``head``)
    :type revision_ref: string

    :returns: ``package_id``, ``name``, ``title``, ``description``, ``seq`` and ``revision_ref`` (number and
        id of the revision), ``author`` and ``created`` as in ``dataset_revision_list``
    :rtype: dict

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the name is taken or not allowed; the ref is malformed, or fits several ids
    """
    given = _validated(schema.dataset_release_create(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_release_create", context, given)
    actor.note(context)
    created = releases.create(
        package.id,
        access.viewer(context, package.id),
        actor.current(model.Session()),
        name=given["name"],
        title=given.get("title"),
        notes=given["description"],
        ref=given["revision_ref"],
    )
    if not context.get("defer_commit"):
        model.repo.commit()
    return created


@tk.side_effect_free
@as_ckan_errors
def dataset_release_list(context: Context, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """The releases of a dataset, newest first.

    :param dataset: id or name of the dataset
    :type dataset: string

    :returns: dicts as from ``dataset_release_create``
    :rtype: list of dicts

    :raises ObjectNotFound: no such dataset, or the caller may not read it
    """
    given = _validated(schema.dataset_release_list(), data_dict)
    package = access.readable(context, given["dataset"], "dataset_release_list", given)
    return releases.listing(package.id)


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
    given = _validated(schema.dataset_revert(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_revert", context, given)
    revision = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])

    editing: Any = {**tk.fresh_context(context), "for_edit": True}
    # Locked until package_update commits, and not from the index: what is merged is what is saved over.
    locked: Any = {**editing, "for_update": True, "use_cache": False}
    now = tk.get_action("package_show")(locked, {"id": package.id})
    then = reading.editable(editing, package, revision)
    wanted = reverting.reverted(now, then, given.get("parts"))
    places = reading.take_ids_used_elsewhere(package.id, wanted["resources"])
    with actor.saying(given.get("version_message") or f"Revert to r{revision.seq}", "revert"):
        saved = tk.get_action("package_update")(tk.fresh_context(context), wanted)
    return {**saved, "new_resource_ids": {old: saved["resources"][place]["id"] for place, old in places}}


@tk.chained_action
@tk.side_effect_free
@as_ckan_errors
def package_show(original_action: Any, context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Core's, which with ``revision_ref`` shows the dataset as it was.

    :param revision_ref: which revision, as in ``dataset_revision_show`` (optional)
    :type revision_ref: string

    :returns: with a ref, the dict of that time with ``revision_ref`` (as given), ``is_current`` and
        ``revision`` (``seq``, ``id``); URLs of uploaded files give the bytes of that revision

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    if not data_dict.get("revision_ref"):
        return original_action(context, data_dict)
    name_or_id = data_dict.get("id") or tk.get_or_bust(data_dict, "name_or_id")
    given = _validated(schema.package_show_revision(), {**data_dict, "id": name_or_id})
    package = access.readable(context, given["id"], "package_show", given)
    found = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])
    return reading.show(context, package, found, data_dict)


@tk.chained_action
@as_ckan_errors
def package_update(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    """Core's, with ``version_message``; it refuses to save what ``package_show`` gave for an old revision.

    :param version_message: what is to be said about the revision that this makes, up to 1000 characters. It
        becomes no part of the dataset. Also a parameter of ``package_create``, ``package_patch``,
        ``package_revise`` (in ``update``), ``resource_create``, ``resource_update``, ``resource_patch`` and
        ``resource_delete`` (optional)
    :type version_message: string

    :raises ValidationError: it is such a dict; the message is not text, or too long
    """
    reading.refuse_old(data_dict)
    return _with_message(original_action, context, data_dict)


def _with_message(original_action: Any, context: Context, data_dict: dict[str, Any]) -> Any:
    if "version_message" not in data_dict:
        return original_action(context, data_dict)
    # A copy: core would keep it as an extra of a resource, and a form that is shown again must not lose it.
    rest = {key: value for key, value in data_dict.items() if key != "version_message"}
    given = _validated(schema.version_message(), {"version_message": data_dict["version_message"]})
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


package_create = _taking_a_message("package_create")
resource_create = _taking_a_message("resource_create")
resource_delete = _taking_a_message("resource_delete")
resource_patch = _taking_a_message("resource_patch")
resource_update = _taking_a_message("resource_update")


def _validated(valid: dict[str, Any], data_dict: dict[str, Any]) -> dict[str, Any]:
    # Not with the caller's context: a schema that another action left in it would replace ours.
    given, problems = tk.navl_validate(data_dict, valid, {})
    if problems:
        raise tk.ValidationError(problems)
    return given
