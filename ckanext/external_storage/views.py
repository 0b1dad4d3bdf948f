"""Core's download address, served from the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ckantoolkit as tk
from ckan import model
from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState
from werkzeug.wrappers import Response

from ckanext.external_storage import config, errors
from ckanext.external_storage.download import object_response
from ckanext.external_storage.resources import filename, stored_oid
from ckanext.external_storage.transfer import links

View = Callable[..., Any]

#: Its one rule so far is to be told the application that it is for.
blueprint = Blueprint("external_storage", __name__)
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


def _download_before(core: View) -> View:
    def download(package_type: str, id: str, resource_id: str, filename: str | None = None) -> Any:
        """A stored file; anything else is core's. Missing and forbidden both answer 404."""
        try:
            shown = tk.get_action("resource_show")({}, {"id": resource_id})
            package = tk.get_action("package_show")({}, {"id": id})
        except (tk.ObjectNotFound, tk.NotAuthorized):
            return tk.abort(404, tk._("Resource not found"))
        oid = stored_oid(shown)
        if oid is None:
            return core(package_type=package_type, id=id, resource_id=resource_id, filename=filename)
        if shown["package_id"] != package["id"]:
            return tk.abort(404, tk._("Resource not found"))
        response = send_object(package["id"], oid, _filename(resource_id))
        tk.signals.resource_download.send(resource_id)
        return response

    return download


def _filename(resource_id: str) -> str:
    """The name as it was given: ``resource_show`` has an ASCII version of it only."""
    resource = model.Resource.get(resource_id)
    return filename({"url": resource.url}) if resource else ""


def send_object(package_id: str, oid: str, name: str) -> Response:
    """A file of the dataset as the answer to the current request; the caller has checked permission.

    Aborts with 404 if the dataset has no such object, 503 if the store cannot be read.
    """
    tk.request.environ["__no_cache__"] = True  # core would add "public"
    try:
        stored = links.linked(model.Session.connection(), package_id, [oid]).get(oid)
        if stored is None:
            raise errors.ObjectNotFound(oid)
        file = config.store().open(stored.key)
    except errors.StorageError as error:
        return tk.abort(error.status, str(error))
    return object_response(tk.request.environ, file, oid, stored.size, name)
