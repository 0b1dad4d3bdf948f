"""The plugin's actions."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz, model
from ckan.types import Context
from flask import has_request_context

from ckanext.authz_service import audit, config, giftless_profile, issuing, ledger, tokens, verifying
from ckanext.authz_service.errors import InvalidToken
from ckanext.authz_service.logic import schema
from ckanext.authz_service.logic.errors import as_ckan_errors
from ckanext.authz_service.permissions import fresh_context

__all__ = [
    "authz_authorize",
    "authz_public_key",
    "authz_token_list",
    "authz_token_revoke",
    "authz_verify",
]


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
    :raises ObjectNotFound: the site has no usable key, or cannot write down what it issues
    """
    try:
        tk.check_access("authz_authorize", context, data_dict)
    except tk.NotAuthorized:
        audit.record("refused", None, name=context.get("user"), reason="may not ask for tokens")
        raise
    if has_request_context():
        # Core would let every cache on the way keep the answer, and the token in it.
        tk.request.environ["__no_cache__"] = True
    valid = _validated(schema.authorize(), context, data_dict)
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


# Not side_effect_free: as part of an address a token would end up in logs and histories.
@as_ckan_errors
def authz_verify(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Check a token that this site issued: signature, issuer, times, scopes, and that neither it nor its user
    has been stopped since. POST only.

    ``verified`` is true for a good token of any audience of this site. A server that asks must still compare
    ``aud`` in the payload with its own name (tokens for the site's file store have ``<issuer>/lfs``), and
    find what it is asked for in ``scopes`` and ``refs``.

    :param token: the token
    :type token: string
    :param strict: false to be shown what a token says even if it does not verify (optional, default: true)
    :type strict: bool

    :returns: ``verified`` (bool). If true: ``payload``, the token's claims. If false: ``reason`` (a stable
        code, listed in the documentation), ``message`` (a sentence for people), and with ``strict`` false
        ``payload`` if the token has a readable one. **That payload proves nothing: anybody could have written
        it.** Look at ``verified`` before anything else.
    :rtype: dict

    :raises ValidationError: ``token`` is missing or not text, ``strict`` is neither true nor false
    :raises ObjectNotFound: the site cannot read its keys or its list of issued tokens
    """
    tk.check_access("authz_verify", context, data_dict)
    valid = _validated(schema.verify(), context, data_dict)
    token = valid["token"]
    try:
        verifying.any_token(token)
    except InvalidToken as error:
        answer = {"verified": False, "reason": error.reason, "message": str(error)}
        claims = None if valid["strict"] else tokens.unverified_claims(token)
        if claims is not None:
            answer["message"] += " What it says of itself is shown, but proves nothing."
            answer["payload"] = claims
        return answer
    return {"verified": True, "payload": tokens.unverified_claims(token)}


@tk.side_effect_free
@as_ckan_errors
def authz_token_list(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Tokens that were issued, the newest first: users see their own, sysadmins everybody's.

    Tokens of anonymous users are not listed. The list never has the tokens themselves.

    :param user_id: id or name of a user, to list that user's tokens only (optional)
    :type user_id: string
    :param all: also those that have expired or were revoked, as long as the site keeps them (optional,
        default: false)
    :type all: bool
    :param limit: how many, 1 to 1000 (optional, default: 100)
    :type limit: int
    :param cursor: the ``cursor`` of the page before (optional)
    :type cursor: string

    :returns: ``tokens`` and ``cursor`` (null on the last page). A token has ``jti``, ``user_id``,
        ``user_name``, ``scopes`` (list of strings), ``audience`` (null: none), ``issued``, ``expires``,
        ``revoked_at`` (null: not revoked; times in ISO 8601 with offset), ``revoked_by`` (id of a user, null
        if nobody is known) and ``live``: whether it still proves something.
    :rtype: dict

    :raises NotAuthorized: the caller is not logged in, or asks for another user's and is no sysadmin
    :raises ObjectNotFound: no such user, or the site cannot read its list
    :raises ValidationError: a parameter is out of range
    """
    tk.check_access("authz_token_list", context, data_dict)
    valid = _validated(schema.token_list(), context, data_dict)
    if "user_id" in valid:
        user_id = _user_id(valid["user_id"])
    elif context.get("ignore_auth") or authz.is_sysadmin(context.get("user")):
        user_id = None
    else:
        user_id = _caller_id(context)
    with ledger.opened(config.engine()) as connection:
        page, cursor = ledger.listing(
            connection, user_id=user_id, every=valid["all"], limit=valid["limit"], after=valid.get("cursor")
        )
    return {"tokens": [entry.as_dict() for entry in page], "cursor": str(cursor) if cursor else None}


@as_ckan_errors
def authz_token_revoke(context: Context, data_dict: dict[str, Any]) -> dict[str, int]:
    """Take tokens back, at once for all who ask this site. Users their own, sysadmins anybody's.

    Servers that check tokens with the public keys alone accept them until they expire.

    :param jti: the token with this id
    :type jti: string
    :param user_id: instead of ``jti``: all tokens of the user with this id or name
    :type user_id: string

    :returns: ``revoked``: how many live tokens this ended; 0 if there was nothing left to end
    :rtype: dict

    :raises NotAuthorized: the caller is not logged in, or names another user and is no sysadmin
    :raises ObjectNotFound: no such user, no such token of the caller's, or the site cannot read its list
    :raises ValidationError: neither or both of ``jti`` and ``user_id`` are given
    """
    valid = _validated(schema.token_revoke(), context, data_dict)
    try:
        tk.check_access("authz_token_revoke", context, valid)
    except tk.NotAuthorized:
        if "jti" in valid and context.get("user"):
            raise _no_such_token() from None
        raise
    user_id = None if "jti" in valid else _user_id(valid["user_id"])
    by = _caller_id(context)
    with ledger.opened(config.engine()) as connection:
        if user_id is not None:
            return {"revoked": ledger.revoke_all(connection, user_id, by)}
        if ledger.owner(connection, valid["jti"]) is None:
            raise _no_such_token()
        return {"revoked": ledger.revoke(connection, valid["jti"], by)}


def _validated(accepted: dict[str, Any], context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    # A schema that another action left in the context would replace ours.
    valid, problems = tk.navl_validate(data_dict, accepted, fresh_context(context))
    if problems:
        raise tk.ValidationError(problems)
    return valid


def _caller_id(context: Context) -> str | None:
    user = model.User.get(context.get("user") or None)
    return user.id if user else None


def _user_id(reference: str) -> str:
    user = model.User.get(reference)
    if user is None:
        raise tk.ObjectNotFound("There is no such user.")
    return user.id


def _no_such_token() -> tk.ObjectNotFound:
    # The same whether there is none or it is another's.
    return tk.ObjectNotFound(
        "No token with this id was issued to you, or it expired too long ago to be known."
    )
