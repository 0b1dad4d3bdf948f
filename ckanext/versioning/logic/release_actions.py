"""Actions about releases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.types import Context

from ckanext.versioning import access, activities, actor, errors, releases, revisions
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated


@as_ckan_errors
def dataset_release_create(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Name a revision. It and its files can then be read by everybody who may read the dataset.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param name: up to 100 letters (A to Z), digits and ``. _ + , -``; unique in the dataset; nothing that
        could be mistaken for another ref, such as ``latest``, ``r1``, a date or an id. The name of a deleted
        release can be given to the revision that had it, and to no other
    :type name: string
    :param description: notes on the release, up to 20,000 characters (optional)
    :type description: string
    :param title: free text to show instead of the name, up to 200 characters (optional)
    :type title: string
    :param doi: the DOI under which the release is registered, as ``10.<registrant>/<suffix>`` or its address
        at ``https://doi.org/`` (optional)
    :type doi: string
    :param revision_ref: which revision, as in ``dataset_revision_show`` (optional, default: ``head``)
    :type revision_ref: string

    :returns: ``package_id``, ``name``, ``title``, ``description``, ``doi``, ``seq`` and ``revision_ref``
        (number and id of the revision), ``author`` and ``created`` as in ``dataset_revision_list``
    :rtype: dict

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the name is taken or not allowed, or was another revision's; the DOI is none; the
        ref is malformed, or fits several ids
    """
    given = validated(schema.dataset_release_create(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    return release(context, package, name=given["name"], ref=given["revision_ref"], said=_said(given))


def release(
    context: Context, package: Any, *, name: str | None, ref: str, said: dict[str, Any]
) -> dict[str, Any]:
    """What `dataset_release_create` does; raises our own errors. *said* as in `releases`."""
    tk.check_access("dataset_release_create", context, {"dataset": package.id})
    actor.note(context)
    created = releases.create(
        package.id,
        access.viewer(context, package.id),
        actor.current(model.Session()),
        name=name,
        ref=ref,
        said={**dict.fromkeys(releases.SAID), "notes": "", **said},
    )
    activities.released(context, package, created)
    _commit(context)
    return created


@as_ckan_errors
def dataset_release_update(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Change what is said about a release. What it was, who changed it and when is kept.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param release: name of the release
    :type release: string
    :param description: as in ``dataset_release_create``; like the next two it stays as it is unless it is
        given, and is removed by an empty string (optional)
    :type description: string
    :param title: (optional)
    :type title: string
    :param doi: (optional)
    :type doi: string
    :param name: the same as ``release``, for clients of ckanext-versioning: a release keeps its name
        (optional)
    :type name: string

    :returns: as from ``dataset_release_create``
    :rtype: dict

    :raises ObjectNotFound: no such dataset or release, or the caller may not read the dataset
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the name is another one; the DOI is none; a text is too long
    """
    given = validated(schema.dataset_release_update(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_release_update", context, given)
    if given.get("name", given["release"]) != given["release"]:
        raise errors.ReleaseRenamed(given["release"])
    actor.note(context)
    who = actor.current(model.Session())
    updated = releases.update(package.id, who, given["release"], _said(given))
    _commit(context)
    return updated


@as_ckan_errors
def dataset_release_delete(context: Context, data_dict: dict[str, Any]) -> None:
    """Take a release's name from its revision. The revision stays; who saw it only because it was released
    sees it no longer. The name can be given to the same revision again, and to no other.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param release: name of the release
    :type release: string

    :raises ObjectNotFound: no such dataset or release, or the caller may not read the dataset
    :raises NotAuthorized: the caller is no admin of the dataset's organisation; for a dataset without one,
        neither its creator nor a sysadmin
    """
    given = validated(schema.dataset_release(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_release_delete", context, given)
    actor.note(context)
    releases.delete(package.id, actor.current(model.Session()), given["release"])
    _commit(context)


@tk.side_effect_free
@as_ckan_errors
def dataset_release_show(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """A release, and what it was before it was changed.

    :param dataset: id or name of the dataset
    :type dataset: string
    :param release: name of the release
    :type release: string

    :returns: as from ``dataset_release_create``, with ``changes``, newest first and at most 100: ``author``
        and ``created`` (who made the change, and when), and ``title``, ``description`` and ``doi`` before it;
        ``deleted`` is true where the release was deleted and made again later
    :rtype: dict

    :raises ObjectNotFound: no such dataset or release, or the caller may not read the dataset
    """
    given = validated(schema.dataset_release(), data_dict)
    package = access.readable(context, given["dataset"], "dataset_release_show", given)
    found = releases.show(package.id, given["release"])
    return {**found, "changes": releases.changes(package.id, given["release"])}


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
    given = validated(schema.dataset_release_list(), data_dict)
    package = access.readable(context, given["dataset"], "dataset_release_list", given)
    return releases.listing(package.id)


@tk.side_effect_free
@as_ckan_errors
def dataset_release_next(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """The name that the next release might get: the newest release's number, counted up in its own style.

    Where a resource's content differs from that of the newest release, or a resource came or went, that is
    the first number (``v1`` → ``v2``, ``1.2.3`` → ``2.0.0``), else the second (``v1.1``, ``1.3.0``). Names
    that begin with a year go by the calendar: their last number is counted (``2026.09`` → ``2026.10``).

    :param dataset: id or name of the dataset
    :type dataset: string
    :param revision_ref: which revision is to be released, as in ``dataset_revision_show`` (optional, default:
        ``head``)
    :type revision_ref: string

    :returns: ``name`` (null if the newest release's ends in no number), ``change`` (``files`` or
        ``metadata``) and ``since``, the name of the newest release; the last two are null if there is none
    :rtype: dict

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises NotAuthorized: the caller may not update the dataset
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    given = validated(schema.dataset_release_next(), data_dict)
    package = access.readable(context, given["dataset"], "package_show", {"id": given["dataset"]})
    tk.check_access("dataset_release_next", context, given)
    revision = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])
    return asdict(releases.proposal(package.id, revision.seq))


def _said(given: dict[str, Any]) -> dict[str, Any]:
    """What was given of `releases.SAID`."""
    columns = {"title": "title", "description": "notes", "doi": "doi"}
    said = {column: given[parameter] for parameter, column in columns.items() if parameter in given}
    return {**said, "notes": said["notes"] or ""} if "notes" in said else said


def _commit(context: Context) -> None:
    if not context.get("defer_commit"):
        model.repo.commit()
