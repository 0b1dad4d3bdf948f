"""Core's download address and one by sha256, served from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ckantoolkit as tk
from ckan import model
from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import Rule
from werkzeug.wrappers import Response

from ckanext.authz_service.bindings import entities
from ckanext.authz_service.csrf import guard_actions
from ckanext.external_storage import (
    config,
    download_handlers,
    errors,
    read_permission,
    uploads_page,
    words,
)
from ckanext.external_storage.download import (
    handed_over,
    presentation,
)
from ckanext.external_storage.lfs import forwarding, sending
from ckanext.external_storage.resources import filename, stored_oid
from ckanext.external_storage.storage.base import ServerStore, SigningStore

View = Callable[..., Any]

#: What older versions called the download address, for ``url_for``.
OLDER_ENDPOINTS = ("blob_storage.download", "extstorage.download")

blueprint = Blueprint("external_storage", __name__)
blueprint.add_url_rule("/user/<id>/uploads", "uploads", uploads_page.unfinished)
blueprint.add_url_rule("/user/<id>/uploads/discard", "discard_upload", uploads_page.discard, methods=["POST"])
guard_actions(blueprint, "ckanext.external_storage")
_registered_with: list[Any] = []


def _remember(state: BlueprintSetupState) -> None:
    _registered_with[:] = [state.app]


blueprint.record(_remember)


def application() -> Flask:
    """CKAN's Flask application, also when another plugin has wrapped it: no wrapper says what is inside."""
    return _registered_with[0]


def serve_downloads(app: Flask) -> None:
    """Put `download` in front of core's view at every ``…/resource/<id>/download`` address.

    The view functions are replaced rather than the rules, because those exist once per dataset type.
    """
    for endpoint, view in app.view_functions.items():
        if endpoint == "resource.download" or endpoint.endswith("_resource.download"):
            app.view_functions[endpoint] = _download_before(view)
    address = "/dataset/<id>/resource/<resource_id>/download"
    for endpoint in OLDER_ENDPOINTS:
        for rule in (address, f"{address}/<filename>"):
            app.url_map.add(Rule(rule, endpoint=endpoint, build_only=True))


def _download_before(core: View) -> View:
    def download(package_type: str, id: str, resource_id: str, filename: str | None = None) -> Any:
        """A stored file; anything else is core's. Missing and forbidden both answer 404.

        The file is the resource's present one whatever its name was when somebody noted the address.
        """
        try:
            shown = tk.get_action("resource_show")({}, {"id": resource_id})
            package = tk.get_action("package_show")({}, {"id": id})
        except (tk.ObjectNotFound, tk.NotAuthorized):
            return tk.abort(404, tk._("Resource not found"))
        inline = _inline_is_asked_for()
        response = download_handlers.response(shown, package, filename, inline)
        if response is not None:
            return response
        oid = stored_oid(shown)
        if oid is None:
            return core(package_type=package_type, id=id, resource_id=resource_id, filename=filename)
        if shown["package_id"] != package["id"]:
            return tk.abort(404, tk._("Resource not found"))
        response = send_object(package["id"], oid, _filename(resource_id), inline, shown.get("size"))
        tk.signals.resource_download.send(resource_id)
        return response

    return download


@blueprint.route("/dataset/<id>/file/<oid>")
def file(id: str, oid: str) -> Any:
    """The file with this sha256, for whoever may read it as one of the dataset: also when the resource has
    another one by now. Missing and forbidden both answer 404."""
    context: Any = {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
    package = entities.dataset(context, id)
    if package is None or package.state == model.State.DELETED:
        return tk.abort(404, tk._("File not found"))
    if oid not in read_permission.readable(context, package.id, [oid]):
        return tk.abort(404, tk._("File not found"))
    holders = [held for held, found in read_permission.stored(context, package.id).items() if found == oid]
    shown = entities.shown_resources(context, package.id, set(holders))
    name = next((_filename(holder) for holder in holders if holder in shown), oid)
    return send_object(package.id, oid, name, _inline_is_asked_for())


def _inline_is_asked_for() -> bool:
    """By the address, or by a page of this site that has the file within it (Fetch Metadata), as views of PDF
    have."""
    if tk.request.args.get("preview", "").lower() in ("1", "true", "yes", "on"):
        return True
    headers = tk.request.headers
    within = headers.get("Sec-Fetch-Dest") in ("object", "embed", "iframe", "frame")
    return within and headers.get("Sec-Fetch-Site") == "same-origin"


def _filename(resource_id: str) -> str:
    """The name as it was given: ``resource_show`` has an ASCII version of it only."""
    resource = model.Resource.get(resource_id)
    return filename({"url": resource.url}) if resource else ""


def send_object(package_id: str, oid: str, name: str, inline: bool = False, size: object = None) -> Response:
    """A file of the dataset as the answer to the current request; the caller has checked permission.

    *inline*: shown by the browser where the site allows that for its type. A store that signs sends the file
    itself: the client is redirected to it. *size*: what a resource that the dataset has now says of the file,
    in bytes; with it, one that came to an external server before there were records is found, too.

    Aborts with 404 if the dataset has no such object, 503 if the store cannot be read.
    """
    environ = tk.request.environ
    environ["__no_cache__"] = True  # core would add "public"
    shown = presentation(name, config.inline_types() if inline else ())
    try:
        store = config.store()
        stored = forwarding.stored_object(model.Session.connection(), store, package_id, oid, size)
        ours = not isinstance(store, (ServerStore, SigningStore))
        if ours and environ["REQUEST_METHOD"] != "HEAD" and (to := config.handed_to_web_server(stored.key)):
            return handed_over(to, stored.oid, shown)
        return sending.response(environ, store, stored, name, shown)
    except errors.StorageError as error:
        return tk.abort(error.status, words.said(error))
