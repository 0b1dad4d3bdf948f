"""Actions by the names that ckanext-versioning had for them: others of ours, with a release for a ref."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import Context

from ckanext.versioning import access
from ckanext.versioning.errors import RevisionNotFound
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated


@tk.side_effect_free
@as_ckan_errors
def package_show_release(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """``package_show`` of a release, kept for clients of ckanext-versioning.

    :param dataset: id or name of the dataset, also as ``id``
    :type dataset: string
    :param release: name of the release, also as ``release_id``; without it the dataset as it is now
        (optional)
    :type release: string

    :returns: as from ``package_show`` with the name as ``revision_ref``, with ``release_metadata`` as from
        ``dataset_release_create``; without a name with ``releases``, as from ``dataset_release_list``
    :rtype: dict

    :raises ObjectNotFound: no such dataset or release, or the caller may not read it
    """
    given = validated(
        schema.package_show_release(),
        {
            "dataset": data_dict.get("dataset") or data_dict.get("id"),
            "release": data_dict.get("release") or data_dict.get("release_id"),
        },
    )
    access.readable(tk.fresh_context(context), given["dataset"], "package_show_release", given)
    releases = _releases(context, given["dataset"])
    show = tk.get_action("package_show")
    if "release" not in given:
        return {**show(tk.fresh_context(context), {"id": given["dataset"]}), "releases": releases}
    release = _named(releases, given["release"])
    shown = show(tk.fresh_context(context), {"id": given["dataset"], "revision_ref": release["name"]})
    return {**shown, "release_metadata": release}


@tk.side_effect_free
@as_ckan_errors
def resource_show_release(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """``resource_show`` of a release, kept for clients of ckanext-versioning.

    :param id: id of the resource
    :type id: string
    :param release: name of the release of its dataset, also as ``release_id``
    :type release: string

    :returns: as from ``resource_show`` with the name as ``revision_ref``, with ``release_metadata`` as from
        ``dataset_release_create``
    :rtype: dict

    :raises ObjectNotFound: no such resource or release, or the caller may not read it
    """
    given = validated(
        schema.resource_show_release(),
        {"id": data_dict.get("id"), "release": data_dict.get("release") or data_dict.get("release_id")},
    )
    tk.check_access("resource_show_release", tk.fresh_context(context), given)
    shown = tk.get_action("resource_show")(
        tk.fresh_context(context), {"id": given["id"], "revision_ref": given["release"]}
    )
    release = _named(_releases(context, shown["package_id"]), given["release"])
    return {**shown, "release_metadata": release}


def _releases(context: Context, dataset: str) -> list[dict[str, Any]]:
    return tk.get_action("dataset_release_list")(tk.fresh_context(context), {"dataset": dataset})


def _named(releases: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for release in releases:
        if release["name"] == name:
            return release
    raise RevisionNotFound(name)
