"""The plugin's actions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan.types import Context

from ckanext.authz_service import audit, config, giftless_profile, issuing
from ckanext.authz_service.logic import schema
from ckanext.authz_service.logic.errors import as_ckan_errors
from ckanext.authz_service.permissions import fresh_context

__all__ = ["authz_authorize", "authz_public_key"]


# Not side_effect_free: a token in the answer to a GET could end up in caches, histories and logs.
@as_ckan_errors
def authz_authorize(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Issue a token that proves what the caller may do. POST only.

    :param scopes: what is asked for, at most 100 scopes such as ``ds:my-dataset:read,update``
    :type scopes: list of strings, or one string with blanks between the scopes
    :param lifetime: how long the token shall be valid, in seconds; more than the site allows is cut down
        (optional, default: the longest allowed)
    :type lifetime: int

    :returns: ``user_id`` (null for anonymous callers), ``token``, ``expires_at`` (ISO 8601 with offset),
        ``requested_scopes`` and ``granted_scopes`` (lists of strings in the order of the request). What is
        not granted is left out, whether it is forbidden or does not exist. If nothing is granted, ``token``
        and ``expires_at`` are null.
    :rtype: dict

    :raises ValidationError: a scope is malformed, unknown, or needs a token of its own; the lifetime is not a
        positive whole number; the token would be too large
    :raises NotAuthorized: the account is not active; or the caller has asked for too many tokens
        (``TooManyRequests`` with ``retry_after`` in seconds; 429 with ``Retry-After`` over HTTP)
    :raises ObjectNotFound: the site has no usable key
    """
    try:
        tk.check_access("authz_authorize", context, data_dict)
    except tk.NotAuthorized:
        audit.record("refused", None, name=context.get("user"), reason="may not ask for tokens")
        raise
    # A schema that another action left in the context would replace ours.
    valid, problems = tk.navl_validate(data_dict, schema.authorize(), fresh_context(context))
    if problems:
        raise tk.ValidationError(problems)
    issue = giftless_profile.issue if giftless_profile.hands_out(valid["scopes"]) else issuing.issue
    return issue(context, valid["scopes"], valid.get("lifetime")).as_dict()


@tk.side_effect_free
@as_ckan_errors
def authz_public_key(context: Context, data_dict: dict[str, Any]) -> dict[str, str]:
    """The key that verifies tokens issued now. ``/authz/jwks.json`` serves it as a JWK Set.

    :returns: ``public_key`` in PEM (SubjectPublicKeyInfo)
    :rtype: dict

    :raises ObjectNotFound: the site has no usable key
    """
    tk.check_access("authz_public_key", context, data_dict)
    return {"public_key": config.public_key().pem}
