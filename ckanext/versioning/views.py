"""The plugin's addresses: the pages of `pages`, and files of a dataset as they were in a revision."""

from __future__ import annotations

import json
from typing import Any

import ckantoolkit as tk
from flask import Blueprint

from ckanext.versioning import access, errors, pages, reading, release_page, revert_page, revisions

blueprint = Blueprint("versioning", __name__)
blueprint.add_url_rule("/dataset/<id>/versions", view_func=pages.versions)
blueprint.add_url_rule("/dataset/<id>/v/<ref>", view_func=pages.version)
blueprint.add_url_rule("/dataset/<id>@<ref>", view_func=pages.at)
for older in ("", "/<ref>", "/<ref>/<resource_id>"):
    blueprint.add_url_rule(f"/dataset/<id>/show{older}", view_func=pages.older)
blueprint.add_url_rule(
    "/dataset/<id>/v/<ref>/release", view_func=release_page.release, methods=["GET", "POST"]
)
blueprint.add_url_rule("/dataset/<id>/v/<ref>/revert", view_func=revert_page.revert, methods=["GET", "POST"])


@blueprint.route(
    "/dataset/<id>/v/<ref>/resource/<resource_id>/download/<filename>", methods=["GET"], endpoint="download"
)
def download(id: str, ref: str, resource_id: str, filename: str) -> Any:
    """The bytes of a resource in a revision; the name is the recorded one, whatever *filename* says.

    A link answers with a redirect to where it led then. 404, all alike, where dataset, revision or resource
    are missing or not for the caller; 404 and the reason where the bytes are not there to be served.
    """
    tk.request.environ["__no_cache__"] = True  # core would add "public"
    found = _resource(id, ref, resource_id)
    if found is None:
        return tk.abort(404, tk._("Resource not found"))
    package_id, state = found
    resource = json.loads(state.body)
    if not resource.get("url_type") and resource["url"]:
        return tk.redirect_to(reading.link(resource["url"]))
    if state.oid is None:
        return tk.abort(404, tk._("What was behind this resource then was not kept."))
    if not reading.has_files():
        return tk.abort(404, tk._("This site keeps the history of metadata only, not of files."))
    from ckanext.external_storage.views import send_object  # versioning also runs without it

    return send_object(package_id, state.oid, reading.filename(resource))


def _resource(id: str, ref: str, resource_id: str) -> tuple[str, Any] | None:
    """The dataset's id and the resource's state in the revision; None if the caller may not see them."""
    context: Any = {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
    try:
        package = access.readable(context, id, "package_show", {"id": id})
        revision = revisions.find(package.id, access.viewer(context, package.id), ref)
    except (tk.ObjectNotFound, errors.VersioningError):
        return None
    # PostgreSQL takes neither NUL nor half a surrogate pair, and no resource is called so.
    states = revisions.states(package.id, revision.seq, resource_id) if resource_id.isprintable() else []
    return (package.id, states[0]) if states else None
