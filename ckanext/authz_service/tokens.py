"""Signed tokens (RFC 7519, RFC 8725): minting and verifying. Pure: no CKAN, no database.

Claims: ``iss``, ``sub`` (user id; absent for anonymous users), ``preferred_username``, ``name``, ``email``
(if wanted), ``iat``, ``nbf``, ``exp`` (whole seconds), ``jti``, ``scopes`` (a string for one scope, a list
for several), ``refs`` (scope → dataset id, unless the scope's ref is that id) and ``aud``, which is absent
when the token is for whoever trusts the issuer.

``scopes`` is never a list joined by blanks: a consumer that takes the claim as one scope would read something
that nobody granted.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import jwt

from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken, MalformedScope, TokenTooLarge, UnfaithfulScope
from ckanext.authz_service.keys import SigningKey, VerificationKey
from ckanext.authz_service.scope import Scope

TYPE = "ckan-authz+jwt"
"""``typ`` of the header (RFC 8725 §3.11): tells our tokens from CKAN's API tokens and from any other JWT."""

MAX_BYTES = 8 * 1024
LEEWAY = 10
"""Seconds by which clocks may differ."""

_MAX_DEPTH = 8


@dataclass(frozen=True)
class User:
    """Whom a token is about. ``id`` never changes hands; ``name`` is for people and logs."""

    id: str
    name: str
    full_name: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class MintedToken:
    """A new token with what a caller needs to know of it. ``lifetime``: seconds; ``expires_at`` is in UTC."""

    token: str
    jti: str
    lifetime: int
    expires_at: datetime


@dataclass(frozen=True)
class VerifiedToken:
    """What a token proves.

    ``user_id`` and ``user_name`` are None for an anonymous user. ``refs`` maps the text of each scope that is
    about one dataset to that dataset's id, unless the scope's ref is that id. ``expires_at`` is in UTC.
    """

    user_id: str | None
    user_name: str | None
    scopes: tuple[Scope, ...]
    refs: dict[str, str]
    jti: str
    expires_at: datetime


def mint(
    key: SigningKey,
    authorized: Sequence[AuthorizedScope],
    *,
    issuer: str,
    audience: str | None,
    lifetime: int,
    user: User | None = None,
    now: datetime | None = None,
) -> MintedToken:
    """Sign a token that says exactly what was authorized.

    lifetime: seconds, positive; capping it is up to the caller.
    user: None for an anonymous user.

    Raises UnfaithfulScope if a scope does not read back as what was granted, TokenTooLarge, and ValueError
    for no scope at all or a lifetime that is not positive.
    """
    if not authorized:
        raise ValueError("a token without scopes opens nothing and is not signed")
    if lifetime <= 0:
        raise ValueError("a token must live for at least a second")
    texts = list(dict.fromkeys(_faithful_text(item.scope) for item in authorized))
    issued = int((now or _utc_now()).timestamp())
    jti = str(uuid.uuid4())
    claims: dict[str, Any] = {
        "iss": issuer,
        "iat": issued,
        "nbf": issued,
        "exp": issued + lifetime,
        "jti": jti,
        "scopes": texts[0] if len(texts) == 1 else texts,
    }
    if audience is not None:
        claims["aud"] = audience
    if user is not None:
        claims["sub"] = user.id
        claims["preferred_username"] = user.name
        if user.full_name:
            claims["name"] = user.full_name
        if user.email:
            claims["email"] = user.email
    refs = _refs(authorized)
    if refs:
        claims["refs"] = refs
    token = jwt.encode(claims, key.key, algorithm=key.algorithm, headers={"kid": key.kid, "typ": TYPE})
    if len(token) > MAX_BYTES:
        raise TokenTooLarge(len(token), MAX_BYTES, len(texts))
    return MintedToken(token, jti, lifetime, _from_timestamp(issued + lifetime))


def verify(
    token: str,
    keys: Mapping[str, VerificationKey],
    issuer: str,
    audience: str | None,
    max_lifetime: int,
    now: datetime | None = None,
) -> VerifiedToken:
    """What the token proves to the server named ``audience``.

    audience: the token's ``aud`` must be exactly this; None accepts only tokens without one.
    max_lifetime: seconds between ``iat`` and ``exp`` at most.

    Raises InvalidToken with a stable ``reason``, and nothing else, whatever the text. The checks run in this
    order: size, header, key, signature, issuer, audience, times, scopes. Keys come from ``keys`` only:
    ``jku``, ``jwk`` and ``x5u`` in a header are not looked at, and the algorithm is the key's own
    (RFC 8725 §3.1, §3.10).
    """
    claims = _signed_claims(token, keys)
    if claims.get("iss") != issuer:
        raise InvalidToken("wrong_issuer", "it was issued by another site")
    if claims.get("aud") != audience:
        raise InvalidToken("wrong_audience", "it was issued for another server")
    expires = _check_times(claims, max_lifetime, (now or _utc_now()).timestamp())
    jti = _text_claim(claims, "jti")
    if jti is None:
        raise InvalidToken("bad_claim", "its claim jti is missing")
    user_id = _text_claim(claims, "sub")
    user_name = _text_claim(claims, "preferred_username")
    scopes = _check_scopes(claims.get("scopes"))
    return VerifiedToken(
        user_id, user_name, scopes, _check_refs(claims, scopes), jti, _from_timestamp(expires)
    )


def unverified_claims(token: str) -> dict[str, Any] | None:
    """What a text that looks like a token says of itself, which anybody can have written; None if nothing.

    For showing and for finding errors. It never raises, and what it gives is always fit for JSON.
    """
    parts = token.split(".")
    if len(token) > MAX_BYTES or len(parts) != 3 or not token.isascii():
        return None
    try:
        found = _json_object(_base64url(parts[1]))
        # Deeper nesting than this is none of ours, and whoever writes the answer has a stack that ends.
        return found if _depth(found) <= _MAX_DEPTH and json.dumps(found, allow_nan=False) else None
    except (InvalidToken, ValueError):
        return None


# --- minting ----------------------------------------------------------------------------------------------


def _faithful_text(scope: Scope) -> str:
    text = str(scope)
    if scope.actions is None:
        raise UnfaithfulScope(text, "it does not list its actions, which verifiers read as all of them")
    try:
        read_back = Scope.from_string(text)
    except MalformedScope as error:
        raise UnfaithfulScope(text, error.problem) from error
    if read_back != Scope(scope.entity_type, scope.entity_id, scope.actions, scope.subscope):
        raise UnfaithfulScope(text, "its text means something else than what was granted")
    return text


def _refs(authorized: Sequence[AuthorizedScope]) -> dict[str, str]:
    """Scope → dataset id, for the scopes that name their dataset in another way than by its id alone.

    Repeating the id for ``ds:<id>:…`` would say nothing and take more room than the scope itself.
    """
    refs: dict[str, str] = {}
    for item in authorized:
        if item.dataset_id is None:
            continue
        text = str(item.scope)
        if refs.setdefault(text, item.dataset_id) != item.dataset_id:
            raise UnfaithfulScope(text, "it was granted for two different datasets")
    named_by_id = {str(item.scope) for item in authorized if item.scope.entity_id == item.dataset_id}
    return {text: dataset_id for text, dataset_id in refs.items() if text not in named_by_id}


# --- verifying --------------------------------------------------------------------------------------------


def _signed_claims(token: str, keys: Mapping[str, VerificationKey]) -> dict[str, Any]:
    """Size, header, key and signature; the claims are JSON but otherwise unchecked."""
    if not isinstance(token, str) or not token.isascii():
        raise InvalidToken("malformed", "it is not a signed token")
    if len(token) > MAX_BYTES:
        raise InvalidToken("too_large", f"it is longer than {MAX_BYTES} bytes")
    header = _header(token)
    if header.get("typ") != TYPE:
        raise InvalidToken("wrong_type", f"its type is not {TYPE}", "Get one from authz_authorize.")
    if "crit" in header:
        # RFC 7515 §4.1.11: an extension that is not understood must not be ignored, and none is.
        raise InvalidToken("critical_header", "its header demands an extension")
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise InvalidToken("unknown_key", "it was signed with a key that is not, or no longer, in use")
    if header.get("alg") != key.algorithm:
        raise InvalidToken("wrong_algorithm", "its algorithm is not the one of its key")
    try:
        payload = jwt.PyJWS(algorithms=[key.algorithm]).decode(token, key.key, algorithms=[key.algorithm])
    except jwt.InvalidSignatureError:
        raise InvalidToken("bad_signature", "its signature does not fit its content") from None
    except (jwt.PyJWTError, ValueError):
        raise InvalidToken("malformed", "it is not a signed token") from None
    return _json_object(payload)


def _header(token: str) -> dict[str, Any]:
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken("malformed", "it is not a signed token")
    header, _, _ = (_base64url(part) for part in parts)
    return _json_object(header)


def _base64url(part: str) -> bytes:
    """The one text that stands for these bytes (RFC 7515 §2, RFC 4648 §3.5) and no other.

    Versions of PyJWT differ in which others they let pass, and Python skips characters outside the alphabet.
    """
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise InvalidToken("malformed", "it is not a signed token") from None
    if base64.urlsafe_b64encode(data).decode("ascii").rstrip("=") != part:
        raise InvalidToken("malformed", "it is not a signed token")
    return data


def _depth(value: object, reached: int = 0) -> int:
    """How deep lists and dicts are nested in each other, counted up to a little more than ``_MAX_DEPTH``."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None or reached > _MAX_DEPTH:
        return reached
    return max((_depth(item, reached + 1) for item in inner), default=reached + 1)


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    # ValueError: not UTF-8, not JSON, or a number of 5,000 digits. RecursionError: 5,000 brackets.
    except (ValueError, RecursionError):
        raise InvalidToken("malformed", "it is not a signed token") from None
    if not isinstance(found, dict):
        raise InvalidToken("malformed", "it is not a signed token")
    return found


def _check_times(claims: Mapping[str, Any], max_lifetime: int, now: float) -> int:
    issued, not_before, expires = (_seconds(claims, name) for name in ("iat", "nbf", "exp"))
    if now >= expires + LEEWAY:
        raise InvalidToken("expired", "it has expired")
    if max(issued, not_before) > now + LEEWAY:
        raise InvalidToken("not_yet_valid", "it is from the future, so one of the two clocks is wrong")
    if not 0 < expires - issued <= max_lifetime:
        raise InvalidToken("lifetime_too_long", f"it does not live between 1 and {max_lifetime} seconds")
    return expires


def _seconds(claims: Mapping[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidToken("bad_claim", f"its claim {name} is not a whole number of seconds")
    return value


def _text_claim(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if not isinstance(value, str) or not value:
        raise InvalidToken("bad_claim", f"its claim {name} is not text")
    return value


def _check_scopes(claim: object) -> tuple[Scope, ...]:
    """The scopes, each in canonical form. One bad scope fails the token: nobody knows what it meant."""
    texts = [claim] if isinstance(claim, str) else claim
    if not isinstance(texts, list) or not texts:
        raise InvalidToken("bad_claim", "its claim scopes is neither a scope nor a list of scopes")
    scopes = []
    for text in texts:
        try:
            scope = Scope.from_string(text)
        except MalformedScope:
            raise InvalidToken("bad_scope", "one of its scopes is not well-formed") from None
        if scope.actions is None or str(scope) != text:
            raise InvalidToken("bad_scope", "one of its scopes does not list its actions in the usual order")
        scopes.append(scope)
    return tuple(scopes)


def _check_refs(claims: Mapping[str, Any], scopes: Sequence[Scope]) -> dict[str, str]:
    refs = claims.get("refs", {})
    known = {str(scope) for scope in scopes}
    if not isinstance(refs, dict) or not all(
        scope in known and isinstance(dataset_id, str) and dataset_id for scope, dataset_id in refs.items()
    ):
        raise InvalidToken("bad_claim", "its claim refs does not give a dataset id for each of its scopes")
    return refs


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def _from_timestamp(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)
