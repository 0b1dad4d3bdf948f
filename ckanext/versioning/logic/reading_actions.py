"""Actions that show the history, and what a dataset was."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import Context

from ckanext.versioning import access, reading, revisions
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated


@tk.side_effect_free
@as_ckan_errors
def dataset_revision_list(context: Context, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Revisions of a dataset that the caller may see, newest first.

    :param id: id or name of the dataset
    :type id: string
    :param all: every revision; otherwise one line for each changeset (consecutive saves by one author that
        belong together), which is its newest revision, and one for each released revision (optional, default: false)
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
    given = validated(schema.dataset_revision_list(), data_dict)
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
    given = validated(schema.dataset_revision_show(), data_dict)
    package = access.readable(context, given["id"], "dataset_revision_show", given)
    who = access.viewer(context, package.id)
    return revisions.details(package.id, who, revisions.find(package.id, who, given["ref"]))


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
    given = validated(schema.package_show_revision(), {**data_dict, "id": name_or_id})
    package = access.readable(context, given["id"], "package_show", given)
    found = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])
    return reading.show(context, package, found, data_dict)
