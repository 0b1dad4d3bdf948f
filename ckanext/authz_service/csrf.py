"""Does a request that changes something come from a page of this site's own?"""

from __future__ import annotations

import json
from functools import partial

import ckantoolkit as tk
from flask import Blueprint, Response, current_app
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError


def sent_by_our_page() -> bool:
    """Whether the form that was sent has the token that CKAN's templates put into a page's forms.

    CKAN's own check leaves out plugins' pages on 2.11, and on 2.12 every page that somebody without a session
    has opened before.
    """
    try:
        validate_csrf(tk.request.form.get(current_app.config["WTF_CSRF_FIELD_NAME"]))
    except ValidationError:
        return False
    return True


def guard_actions(blueprint: Blueprint, package: str) -> None:
    """Calls of actions of *package* (``ckanext.name``), by session, have to come from our pages wherever
    *blueprint* is."""
    blueprint.before_app_request(partial(_refuse_forged_call, f"{package}."))


def _refuse_forged_call(package: str) -> Response | None:
    """CKAN's own check cannot be relied on: the first call of its API with a token, or by nobody, ends it for
    all calls until the process ends. Readers' actions, other plugins' and CKAN's own are left to it.
    """
    if tk.request.endpoint != "api.action" or not current_app.config["WTF_CSRF_ENABLED"]:
        return None
    if not tk.current_user.is_authenticated or tk.g.get("login_via_auth_header"):
        return None  # by a token, which no other page's request carries
    name = (tk.request.view_args or {})["logic_function"]
    try:
        action = tk.get_action(name)
    except KeyError:
        return None
    if getattr(action, "side_effect_free", False) or not action.__module__.startswith(package):
        return None
    sent = [tk.request.headers.get(header) for header in current_app.config["WTF_CSRF_HEADERS"]]
    try:
        validate_csrf(next(filter(None, sent), None))
    except ValidationError as error:
        message = (
            f"Nothing was done: {error} A call with the session's cookie needs the page's CSRF token in the"
            " header X-CSRFToken. Reload the page, or call with an API token."
        )
        refusal = {"success": False, "error": {"__type": "Authorization Error", "message": message}}
        return Response(json.dumps(refusal), 400, content_type="application/json")
    return None
