"""What pages and the API answer instead of a dataset that was deleted; see `withdrawal`."""

from __future__ import annotations

import json

import ckantoolkit as tk
from flask import Response, make_response

from ckanext.versioning import access, releases
from ckanext.versioning.withdrawal import Withdrawn


def tombstone(gone: Withdrawn) -> Response:
    """410, and no more than the reader could see before: that it was there, and under which names."""
    # Core would add "public": others are told that there is nothing.
    tk.request.environ["__no_cache__"] = True
    page = tk.render(
        "versioning/withdrawn.html", {"gone": gone, "releases": releases.listing(gone.package_id)}
    )
    return make_response(page, 410)


def answer(response: Response) -> Response:
    """Say what "not found" is about, where core's own page of a dataset, or its API, answered so.

    After-request function of our blueprint. Nothing of core's is replaced, and whatever it does not answer
    with 404 stays.
    """
    if response.status_code != 404:
        return response
    if tk.request.blueprint == "api":
        return _api_error(response, tk.g.pop("versioning_withdrawn", None))
    arguments = tk.request.view_args or {}
    if tk.request.endpoint != f"{arguments.get('package_type')}.read":
        return response
    context = {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
    try:
        access.readable(context, arguments["id"], "package_show", {"id": arguments["id"]})
    except Withdrawn as gone:
        return tombstone(gone)
    except tk.ObjectNotFound:
        pass
    return response


def _api_error(response: Response, gone: Withdrawn | None) -> Response:
    found = response.get_json(silent=True) if gone else None
    if not isinstance(found, dict) or not isinstance(found.get("error"), dict):
        return response
    # The action may have gone on without that dataset, and have missed something else.
    if str(found["error"].get("message")).endswith(str(gone)):
        found["error"]["__type"] = "Withdrawn Error"
        response.set_data(json.dumps(found))
    return response
