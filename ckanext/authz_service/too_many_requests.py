"""How CKAN's API says "later"."""

from __future__ import annotations

import json

import ckantoolkit as tk
from flask import Response, has_request_context


class TooManyRequests(tk.NotAuthorized):
    """The caller has asked for too many tokens, and may ask again in ``retry_after`` seconds.

    Callers inside CKAN that do not know it take it for a refusal. The API answers 429.
    """

    def __init__(self, message: str, retry_after: int):
        super().__init__(message)
        self.retry_after = retry_after
        if has_request_context():
            tk.g.authz_too_many_requests = self


def answer(response: Response) -> Response:
    """Make 429 of CKAN's answer to a call that a rate limit ended, with ``Retry-After`` (RFC 6585 §4).

    CKAN's API knows a fixed list of exceptions and answers 500 to all others. Ours is one of them, a refusal
    (403); here it gets its own status. As an after-request function of our blueprint this is there on every
    version of CKAN, and whatever other plugins wrap around the application.
    """
    refusal: TooManyRequests | None = tk.g.pop("authz_too_many_requests", None)
    if refusal is None or response.status_code != 403 or tk.request.blueprint != "api":
        return response
    found = response.get_json(silent=True)
    if not isinstance(found, dict) or not isinstance(found.get("error"), dict):
        return response
    # The action may have gone on without a token, and have been refused something else.
    if not str(found["error"].get("message")).endswith(str(refusal)):
        return response
    found["error"] = {"__type": "Too Many Requests Error", "message": str(refusal)}
    response.set_data(json.dumps(found))
    response.status_code = 429
    response.headers["Retry-After"] = str(refusal.retry_after)
    return response
