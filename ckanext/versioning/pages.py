"""The pages of a dataset's history: the list of its versions, and a version."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import ckantoolkit as tk
from ckan import model
from flask import make_response

from ckanext.versioning import (
    fields,
    list_filters,
    pins,
    reading,
    relations,
    snapshot,
    timeline,
    version_files,
)
from ckanext.versioning.page_frame import (
    Asked,
    Words,
    asked_for,
    page_context,
    rendered,
    revision_of,
    to_name,
    version_named,
)


def versions(id: str) -> Any:
    """The list of versions, newest first."""
    asked = asked_for(id)
    if id != asked.package.name:
        return to_name(asked.package.name)
    # A number of a revision; anything else gives the first page.
    before_seq = tk.request.args.get("before_seq", type=int)
    every_save = tk.request.args.get("all") == "true"
    filters = list_filters.read(tk.request.args)
    page = timeline.page(
        asked.package.id,
        asked.who,
        Words(),
        all=every_save,
        before_seq=before_seq,
        only=filters.only if filters.query else None,
    )
    return rendered(
        asked,
        "versions",
        page=page,
        every_save=every_save,
        before_seq=before_seq,
        filters=filters.query,
        choices=_choices(asked, filters.query),
    )


def _choices(asked: Asked, query: dict[str, str]) -> dict[str, list[tuple[str, str]]]:
    resources = asked.package.resources[: list_filters.RESOURCES]
    named = [
        (
            resource.id,
            tk.h.resource_display_name({"name": resource.name, "description": resource.description}),
        )
        for resource in resources
    ]
    return {
        "author": list_filters.chosen(list_filters.authors(asked.package.id, asked.who), query.get("author")),
        "resource_id": list_filters.chosen(named, query.get("resource_id")),
    }


def version(id: str, ref: str) -> Any:
    """The dataset as it was in a revision."""
    asked = asked_for(id)
    if id != asked.package.name:
        return tk.redirect_to("versioning.version", id=asked.package.name, ref=ref)
    revision = revision_of(asked, ref)
    old = as_it_was(asked, revision)
    kept = pins.kept(model.Session, asked.package.id, revision.seq)
    resources = [(resource, kind(resource, kept)) for resource in old["resources"]]
    page = rendered(
        asked,
        "version",
        old=old,
        version=version_named(asked, revision),
        fields=fields.rows(old, Words()),
        resources=resources,
        files=_files(resources),
    )
    now = tk.url_for(f"{asked.package.type}.read", id=asked.package.name, qualified=True, locale="default")
    return relations.of_version(make_response(page), asked, revision, "versioning.version", latest=now)


def as_it_was(asked: Asked, revision: Any) -> dict[str, Any]:
    # Through the action, so that plugins that chain it have their say here as on the dataset's own page.
    wanted = {"id": asked.package.id, "revision_ref": f"r{revision.seq}"}
    return tk.get_action("package_show")(page_context(), wanted)


def at(id: str, ref: str) -> Any:
    """The short form of a version's address."""
    return tk.redirect_to("versioning.version", id=id, ref=ref)


def _files(resources: list[tuple[dict[str, Any], str]]) -> dict[str, Any] | None:
    """Of the files of a version ``count`` and ``size`` (bytes, as far as known), and in ``too_much`` why they
    are not to be had as one zip file, if so; None if there are none."""
    sizes = [resource.get("size") for resource, kind in resources if kind == "file"]
    size = sum(size for size in sizes if isinstance(size, int))
    if not sizes:
        return None
    return {"count": len(sizes), "size": size, "too_much": version_files.too_much(len(sizes), size)}


def older(id: str, ref: str | None = None, resource_id: str | None = None) -> Any:
    """The addresses that versions had in ckanext-versioning."""
    return tk.redirect_to("dataset.read", id=id) if ref is None else at(id, ref)


def kind(resource: dict[str, Any], kept: Collection[str]) -> str:
    """``file`` that can be downloaded, ``lost`` (a file of which nothing was kept), ``link``, or ``none``.

    *kept* are ids of resources whose file CKAN's own FileStore had then.
    """
    if resource.get("url_type") != "upload":
        return "link" if tk.h.is_url(resource.get("url") or "") else "none"
    stored = snapshot.stored_oid(resource) and reading.has_files()
    return "file" if stored or resource["id"] in kept else "lost"
