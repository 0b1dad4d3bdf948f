"""The plugin's addresses: the pages of `pages`, and files of a dataset as they were in a revision."""

from __future__ import annotations

import json
from typing import Any

import ckantoolkit as tk
from flask import Blueprint

from ckanext.authz_service.bindings import entities
from ckanext.authz_service.csrf import guard_actions
from ckanext.versioning import (
    access,
    errors,
    filestore,
    pages,
    pins,
    preview_page,
    reading,
    relations,
    release_page,
    revert_page,
    revisions,
    tombstone_page,
    version_files,
)
from ckanext.versioning.page_frame import Asked, to_current_name
from ckanext.versioning.withdrawal import Withdrawn

blueprint = Blueprint("versioning", __name__)
guard_actions(blueprint, "ckanext.versioning")
blueprint.add_url_rule("/dataset/<id>/versions", view_func=pages.versions)
blueprint.add_url_rule("/dataset/<id>/v/<ref>", view_func=pages.version)
blueprint.add_url_rule("/dataset/<id>/v/<ref>/resource/<resource_id>", view_func=preview_page.resource)
blueprint.add_url_rule(
    "/dataset/<id>/v/<ref>/resource/<resource_id>/view/<view_id>", view_func=preview_page.preview
)
blueprint.add_url_rule("/dataset/<id>/v/<ref>/SHA256SUMS", view_func=version_files.checksums)
blueprint.add_url_rule("/dataset/<id>/v/<ref>/zip", "zip", version_files.all_files)
blueprint.add_url_rule("/dataset/<id>@<ref>", view_func=pages.at)
for older in ("", "/<ref>", "/<ref>/<resource_id>"):
    blueprint.add_url_rule(f"/dataset/<id>/show{older}", view_func=pages.older)
blueprint.add_url_rule(
    "/dataset/<id>/v/<ref>/release", view_func=release_page.release, methods=["GET", "POST"]
)
blueprint.add_url_rule(
    "/dataset/<id>/v/<ref>/release/edit", "release_edit", release_page.edit, methods=["GET", "POST"]
)
blueprint.add_url_rule(
    "/dataset/<id>/v/<ref>/release/delete", "release_delete", release_page.delete, methods=["GET", "POST"]
)
blueprint.add_url_rule("/dataset/<id>/v/<ref>/revert", view_func=revert_page.revert, methods=["GET", "POST"])
blueprint.after_app_request(tombstone_page.answer)


@blueprint.route(
    "/dataset/<id>/v/<ref>/resource/<resource_id>/download/<filename>", methods=["GET"], endpoint="download"
)
def download(id: str, ref: str, resource_id: str, filename: str) -> Any:
    """The bytes of a resource in a revision; the name is the recorded one, whatever *filename* says.

    A link answers with a redirect to where it led then. 404, all alike, where dataset, revision or resource
    are missing or not for the caller; 404 and the reason where the bytes are not there to be served; 410 if
    the dataset was deleted.
    """
    tk.request.environ["__no_cache__"] = True  # core would add "public"
    context: Any = {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
    try:
        found = _resource(context, id, ref, resource_id)
    except Withdrawn as gone:
        return tombstone_page.tombstone(gone)
    except tk.ObjectNotFound:
        to_current_name(context, id)
        found = None
    except errors.VersioningError:
        found = None
    if found is None:
        return tk.abort(404, tk._("Resource not found"))
    asked, revision, state = found
    resource = json.loads(state.body)
    if not resource.get("url_type") and resource["url"]:
        return tk.redirect_to(reading.link(resource["url"]))
    mark = pins.mark_of(state)
    if state.file_oid is None and mark is None:
        return tk.abort(404, tk._("What was behind this resource then was not kept."))
    if not reading.has_files():
        return tk.abort(404, tk._("This site keeps the history of metadata only, not of files."))
    # versioning also runs without it
    from ckanext.external_storage import read_permission
    from ckanext.external_storage.download import object_response
    from ckanext.external_storage.views import send_object

    name = reading.filename(resource)
    if state.file_oid:
        if state.file_oid not in read_permission.readable(context, asked.package.id, [state.file_oid]):
            return tk.abort(404, tk._("Resource not found"))
        response = send_object(asked.package.id, state.file_oid, name)
    else:
        file = filestore.open_marked(resource_id, mark) if mark else None
        if file is None or mark is None:
            return tk.abort(404, tk._("What was behind this resource then was not kept."))
        etag = f"{mark.mtime_ns:x}-{mark.size:x}"
        response = object_response(tk.request.environ, file, etag, mark.size, name)
    return relations.of_file(response, asked, revision, state, reading.address_name(name))


def _resource(context: Any, id: str, ref: str, resource_id: str) -> tuple[Asked, Any, Any] | None:
    """The dataset, its revision, and the resource's state in it; None if the caller may not see the resource.

    Raises ObjectNotFound, Withdrawn, VersioningError if they may not see the dataset or the revision.
    """
    package = access.readable(context, id, "package_show", {"id": id})
    asked = Asked(package, access.viewer(context, package.id))
    revision = revisions.find(package.id, asked.who, ref)
    # PostgreSQL takes neither NUL nor half a surrogate pair, and no resource is called so.
    states = revisions.states(package.id, revision.seq, resource_id) if resource_id.isprintable() else []
    if states and entities.shown_resources(context, package.id, [resource_id]):
        return asked, revision, states[0]
    return None
