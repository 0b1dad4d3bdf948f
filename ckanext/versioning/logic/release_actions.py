"""Actions about releases."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.types import Context

from ckanext.versioning import access, actor, releases
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated


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
    given = validated(schema.dataset_release_create(), data_dict)
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
    given = validated(schema.dataset_release_list(), data_dict)
    package = access.readable(context, given["dataset"], "dataset_release_list", given)
    return releases.listing(package.id)
