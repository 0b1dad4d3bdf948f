"""A resource of an old version, with previews of its file.

Views belong to the resource as it is now. One that shows what is at the resource's URL and needs nothing else
works for an old file too, at the URL that the file has; the page says of the others that they are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.lib import datapreview

from ckanext.versioning import config, pages, pins
from ckanext.versioning.page_frame import (
    Asked,
    asked_for,
    page_context,
    rendered,
    revision_of,
    shown_states,
    version_named,
)


@dataclass(frozen=True)
class _Previews:
    """``shown`` and ``left_out`` are views as `resource_view_list` has them; ``removed``: the dataset has the
    resource no longer, and its views are gone with it."""

    shown: list[dict[str, Any]]
    left_out: list[dict[str, Any]]
    removed: bool = False


def resource(id: str, ref: str, resource_id: str) -> Any:
    """The page of a resource as it was in a revision."""
    asked, revision, dataset, found, kind = _found(id, ref, resource_id)
    return rendered(
        asked,
        "resource",
        old=dataset,
        version=version_named(asked, revision),
        resource=found,
        kind=kind,
        previews=_previews(asked, dataset, found) if kind == "file" else None,
    )


def preview(id: str, ref: str, resource_id: str, view_id: str) -> Any:
    """One preview, as a document of its own that the resource's page has in a frame."""
    asked, _revision, dataset, found, kind = _found(id, ref, resource_id)
    for view in _previews(asked, dataset, found).shown if kind == "file" else ():
        if view["id"] == view_id:
            shown = tk.h.rendered_resource_view(view, found, dataset)
            if tk.h.resource_view_is_iframed(view):  # then it is a whole page
                return shown
            return tk.render("versioning/preview.html", {"shown": shown})
    return tk.abort(404, tk._("Resource view not found"))


def _found(id: str, ref: str, resource_id: str) -> tuple[Asked, Any, dict[str, Any], dict[str, Any], str]:
    """Dataset, resource and `pages.kind` as they were; aborts with 404 where the caller may not see them."""
    asked = asked_for(id)
    revision = revision_of(asked, ref)
    for state in shown_states(asked, revision):
        if state.resource_id == resource_id:
            dataset = pages.as_it_was(asked, revision)
            found = next(resource for resource in dataset["resources"] if resource["id"] == resource_id)
            kept = pins.kept(model.Session, asked.package.id, revision.seq)
            return asked, revision, dataset, found, pages.kind(found, kept)
    return tk.abort(404, tk._("Resource not found"))


def _previews(asked: Asked, dataset: dict[str, Any], resource: dict[str, Any]) -> _Previews:
    now = model.Session.get(model.Resource, resource["id"])
    if now is None or now.state == model.State.DELETED or now.package_id != asked.package.id:
        return _Previews([], [], removed=True)
    shown, left_out = [], []
    for view in tk.get_action("resource_view_list")(page_context(), {"id": resource["id"]}):
        # A view may have been given another address to show, which is not this file's.
        own = {key: value for key, value in view.items() if not key.endswith("_url")}
        (shown if _works_by_url(own, dataset, resource) else left_out).append(own)
    return _Previews(shown, left_out)


def _works_by_url(view: dict[str, Any], dataset: dict[str, Any], resource: dict[str, Any]) -> bool:
    plugin = datapreview.get_view_plugin(view["view_type"])
    if plugin is None or view["view_type"] not in config.preview_views():
        return False
    given = {**resource, "format": resource.get("format") or ""}
    return bool(plugin.can_view({"resource": given, "package": dataset, "resource_view": view}))
