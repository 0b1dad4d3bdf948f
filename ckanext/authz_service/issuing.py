"""Issuing a token: from the scopes a user asks for to a signed statement of those CKAN grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ckan.types import Context

from ckanext.authz_service import audit, config, giftless, limits, permissions, registry, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import GiftlessScope, MixedAudiences
from ckanext.authz_service.scope import Scope

MAX_SCOPES = 100
"""Scopes in one request."""

MAX_SCOPES_LENGTH = 32 * 1024
"""Characters of all scopes of a request together. What a token holds is less (tokens.MAX_BYTES)."""


@dataclass(frozen=True)
class Issued:
    """What came of a request. ``token`` is None if nothing was granted, ``user_id`` for anonymous callers."""

    user_id: str | None
    requested: tuple[Scope, ...]
    granted: tuple[Scope, ...]
    token: tokens.MintedToken | None

    def as_dict(self) -> dict[str, Any]:
        """The JSON answer of ``authz_authorize``."""
        return {
            "user_id": self.user_id,
            "token": self.token.token if self.token else None,
            "expires_at": self.token.expires_at.isoformat() if self.token else None,
            "requested_scopes": [str(scope) for scope in self.requested],
            "granted_scopes": [str(scope) for scope in self.granted],
        }


def issue(context: Context, scopes: Sequence[Scope], lifetime: int | None = None) -> Issued:
    """Ask CKAN about each scope, and sign what it grants to the context's user.

    lifetime: seconds; None, or more than the site allows, gives the longest allowed.

    Nothing is signed when nothing is granted: even a token without scopes would prove to others who sent it.

    Raises ScopeError (MixedAudiences, UnknownEntityType, UnknownSubscope, MalformedScope), TokenTooLarge,
    KeysError, RateLimited, and NotAuthorized for an account that is not active.
    """
    audience, for_giftless = _audience(scopes), _for_giftless(scopes)
    user = permissions.active_user(context)
    limits.count(user.id if user else None)
    granted = _granted(user, scopes)
    if for_giftless:
        granted = [found for answer in granted if (found := giftless.without_unknown_actions(answer))]
    sign = _sign_for_giftless if for_giftless else _sign
    issued = Issued(
        user_id=user.id if user else None,
        requested=tuple(scopes),
        granted=tuple(dict.fromkeys(answer.scope for answer in granted)),
        token=sign(granted, audience, lifetime, user) if granted else None,
    )
    _audit(issued, "giftless" if for_giftless else audience)
    return issued


def issue_for_giftless(
    context: Context, namespace: str, dataset_id: str, oid: str, action: str
) -> tokens.MintedToken | None:
    """A token with which CKAN itself calls the batch endpoint of its giftless for one object, on behalf of
    the context's user; None if CKAN does not let them. It opens the object for a minute and must not leave
    CKAN: clients are given the actions that the batch returns.

    oid: sha256 in hex. action: ``read`` or ``write``.

    It is not counted by the rate limits, which are for tokens that are handed out.

    Raises MalformedScope, GiftlessScope, KeysError, and NotAuthorized for an account that is not active.
    """
    key = config.giftless_key()
    user = permissions.active_user(context)
    scope = Scope("obj", f"{namespace}/{dataset_id}/{oid}", [action])
    granted = _granted(user, [scope])
    issued = Issued(
        user_id=user.id if user else None,
        requested=(scope,),
        granted=tuple(answer.scope for answer in granted),
        token=giftless.mint(key, granted[0], issuer=config.issuer(), user=_named(user)) if granted else None,
    )
    _audit(issued, "giftless")
    return issued.token


def _granted(user: Any, scopes: Sequence[Scope]) -> list[AuthorizedScope]:
    asking = cast(Context, {"user": user.name if user else "", "auth_user_obj": user})
    authorizer = registry.authorizer()
    # Each authorizer gets a context of its own: what one leaves in it must not reach the next.
    answers = [
        authorizer.grant(scope, context=permissions.fresh_context(asking)) for scope in dict.fromkeys(scopes)
    ]
    return list(dict.fromkeys(answer for answer in answers if answer is not None))


def _audit(issued: Issued, audience: str | None) -> None:
    asked = [str(scope) for scope in issued.requested]
    if issued.token is None:
        audit.record("refused", issued.user_id, reason="nothing granted", asked=asked)
        return
    audit.record(
        "issued",
        issued.user_id,
        jti=issued.token.jti,
        granted=[str(scope) for scope in issued.granted],
        asked=asked,
        audience=audience,
        expires_at=issued.token.expires_at.isoformat(),
        lifetime=issued.token.lifetime,
    )


def _audience(scopes: Sequence[Scope]) -> str | None:
    # Chosen here, never by the caller: a token for one server must not open another.
    types = {scope.entity_type for scope in scopes}
    if config.LFS_ENTITY_TYPE not in types:
        return config.audience()
    if len(types) > 1:
        raise MixedAudiences(config.LFS_ENTITY_TYPE, types)
    return config.lfs_audience()


def _for_giftless(scopes: Sequence[Scope]) -> bool:
    if scopes[0].entity_type != config.LFS_ENTITY_TYPE or not config.legacy_browser_tokens():
        return False
    if len(set(scopes)) > 1:
        raise GiftlessScope(
            str(scopes[1]), "giftless does not unite scopes, so each needs a token of its own"
        )
    return True


def _sign(
    granted: Sequence[AuthorizedScope], audience: str | None, lifetime: int | None, user: Any
) -> tokens.MintedToken:
    longest = config.max_lifetime()
    return tokens.mint(
        config.signing_key(),
        granted,
        issuer=config.issuer(),
        audience=audience,
        lifetime=longest if lifetime is None else min(lifetime, longest),
        user=_named(user),
    )


def _sign_for_giftless(
    granted: Sequence[AuthorizedScope], audience: str | None, lifetime: int | None, user: Any
) -> tokens.MintedToken:
    (answer,) = granted
    return giftless.mint(
        config.giftless_key(),
        answer,
        issuer=config.issuer(),
        user=_named(user),
        lifetime=giftless.LIFETIME if lifetime is None else lifetime,
        whole_dataset=True,
    )


def _named(user: Any) -> tokens.User | None:
    return tokens.User(user.id, user.name, user.fullname) if user else None
