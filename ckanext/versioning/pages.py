"""The pages of a dataset's history: the list of its versions, and a version."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from ckanext.versioning import fields, reading, snapshot, timeline
from ckanext.versioning.page_frame import Words, asked_for, page_context, rendered, revision_of, version_named


def versions(id: str) -> Any:
    """The list of versions, newest first."""
    asked = asked_for(id)
    if id != asked.package.name:
        return tk.redirect_to("versioning.versions", id=asked.package.name)
    # A number of a revision; anything else gives the first page.
    before_seq = tk.request.args.get("before_seq", type=int)
    every_save = tk.request.args.get("all") == "true"
    page = timeline.page(asked.package.id, asked.who, Words(), all=every_save, before_seq=before_seq)
    return rendered(asked, "versions", page=page, every_save=every_save, before_seq=before_seq)


def version(id: str, ref: str) -> Any:
    """The dataset as it was in a revision."""
    asked = asked_for(id)
    if id != asked.package.name:
        return tk.redirect_to("versioning.version", id=asked.package.name, ref=ref)
    revision = revision_of(asked, ref)
    # Through the action, so that plugins that chain it have their say here as on the dataset's own page.
    old = tk.get_action("package_show")(
        page_context(), {"id": asked.package.id, "revision_ref": f"r{revision.seq}"}
    )
    return rendered(
        asked,
        "version",
        old=old,
        version=version_named(asked, revision),
        fields=fields.rows(old, Words()),
        resources=[(resource, _kind(resource)) for resource in old["resources"]],
    )


def at(id: str, ref: str) -> Any:
    """The short form of a version's address."""
    return tk.redirect_to("versioning.version", id=id, ref=ref)


def older(id: str, ref: str | None = None, resource_id: str | None = None) -> Any:
    """The addresses that versions had in ckanext-versioning."""
    return tk.redirect_to("dataset.read", id=id) if ref is None else at(id, ref)


def _kind(resource: dict[str, Any]) -> str:
    """``file`` that can be downloaded, ``lost`` (a file of which nothing was kept), ``link``, or ``none``."""
    if resource.get("url_type") != "upload":
        return "link" if tk.h.is_url(resource.get("url") or "") else "none"
    kept = snapshot.stored_oid(resource) and reading.has_files()
    return "file" if kept else "lost"
