"""The public keys, for everyone who checks tokens, and how the API says "later"."""

from __future__ import annotations

import json
import logging
from typing import Any

import ckantoolkit as tk
from flask import Blueprint, Response
from werkzeug.datastructures import Headers

from ckanext.authz_service import config
from ckanext.authz_service.errors import KeysError, MissingKey
from ckanext.authz_service.keys import jwks
from ckanext.authz_service.logic.errors import TooManyRequests

log = logging.getLogger(__name__)

MAX_AGE = 300
"""Seconds for which keys may be kept. Rotation publishes a key this long before it signs with it."""

blueprint = Blueprint("authz_service", __name__, url_prefix="/authz")

_MISSING = "This site has no key yet. Its administrator creates one with: ckan authz keygen\n"
_UNUSABLE = "The keys of this site cannot be read. Its administrator finds the reason in the log.\n"


class _Keys(Response):
    """CKAN writes its own Cache-Control over that of every response, so ours is set as headers are sent."""

    cache_policy = f"public, max-age={MAX_AGE}"

    def get_wsgi_headers(self, environ: Any) -> Headers:
        headers = super().get_wsgi_headers(environ)
        headers["Cache-Control"] = self.cache_policy
        return headers


class _Problem(_Keys):
    cache_policy = "no-store"


@blueprint.after_app_request
def too_many_requests(response: Response) -> Response:
    """Make 429 of CKAN's answer to a call that our rate limit ended.

    CKAN's API knows a fixed list of exceptions and answers 500 to all others. Ours is one of them, a refusal
    (403), so that callers which do not know it handle it; here it gets its own status and ``Retry-After``
    (RFC 6585 §4). As an after-request function of the blueprint it is there on every version of CKAN and
    whatever other plugins wrap around the application.
    """
    refusal: TooManyRequests | None = tk.g.pop("authz_too_many_requests", None)
    if refusal is None or response.status_code != 403 or tk.request.blueprint != "api":
        return response
    answer = response.get_json(silent=True)
    if not isinstance(answer, dict) or not isinstance(answer.get("error"), dict):
        return response
    # The action may have gone on without a token, and have been refused something else.
    if not str(answer["error"].get("message")).endswith(str(refusal)):
        return response
    error = {"__type": "Too Many Requests Error", "message": str(refusal)}
    response.set_data(json.dumps({**answer, "error": error}))
    response.status_code = 429
    response.headers["Retry-After"] = str(refusal.retry_after)
    return response


@blueprint.get("/jwks.json")
def jwks_json() -> Response:
    """The JWK Set (RFC 7517 §5, §8.5). Before the first key is generated it is empty."""
    try:
        keys = config.verification_keys()
    except KeysError as error:
        return _unusable(error)
    body = json.dumps(jwks(keys.values()), sort_keys=True)
    if not keys:
        return _Problem(body, content_type="application/jwk-set+json")
    return _cacheable(body, "application/jwk-set+json")


@blueprint.get("/public_key")
def public_key() -> Response:
    """The key that verifies tokens issued now, in PEM. 404 before the first key is generated."""
    try:
        key = config.public_key()
    except MissingKey:
        return _Problem(
            "This site has no key yet: ckan authz keygen\n", status=404, content_type="text/plain"
        )
    except KeysError as error:
        return _unusable(error)
    return _cacheable(key.pem, "application/x-pem-file")


def _cacheable(body: str, content_type: str) -> Response:
    response = _Keys(body, content_type=content_type)
    response.add_etag()
    response.make_conditional(tk.request.environ)
    return response


def _unusable(error: KeysError) -> Response:
    log.error("%s", error)
    return _Problem(_UNUSABLE, status=503, content_type="text/plain")
