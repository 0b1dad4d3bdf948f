"""The plugin's addresses: the public keys, for everyone who checks tokens, and the pages of `pages`."""

from __future__ import annotations

import json
import logging
from typing import Any

import ckantoolkit as tk
from flask import Blueprint, Response
from werkzeug.datastructures import Headers

from ckanext.authz_service import config, csrf, pages, too_many_requests
from ckanext.authz_service.errors import KeysError, MissingKey
from ckanext.authz_service.keys import jwks
from ckanext.authz_service.rotation import MAX_AGE

log = logging.getLogger(__name__)

blueprint = Blueprint("authz_service", __name__)
blueprint.add_url_rule("/user/<id>/tokens", view_func=pages.tokens)
blueprint.add_url_rule("/user/<id>/tokens/revoke", view_func=pages.revoke, methods=["POST"])
csrf.guard_actions(blueprint, "ckanext.authz_service")
blueprint.after_app_request(too_many_requests.answer)

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


@blueprint.get("/authz/jwks.json")
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


@blueprint.get("/authz/public_key")
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
