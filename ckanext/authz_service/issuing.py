"""Issuing a token: from the scopes a user asks for to a signed statement of those CKAN grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ckan.types import Context

from ckanext.authz_service import audit, config, ledger, limits, permissions, registry, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import MixedAudiences
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

    def write_down(self, audience: str | None) -> None:
        """Put a line about this into the audit log."""
        asked = [str(scope) for scope in self.requested]
        if self.token is None:
            audit.record("refused", self.user_id, reason="nothing granted", asked=asked)
            return
        audit.record(
            "issued",
            self.user_id,
            jti=self.token.jti,
            granted=[str(scope) for scope in self.granted],
            asked=asked,
            audience=audience,
            lifetime=self.token.lifetime,
            expires_at=self.token.expires_at.isoformat(),
        )


def issue(context: Context, scopes: Sequence[Scope], lifetime: int | None = None) -> Issued:
    """Ask CKAN about each scope, and sign what it grants to the context's user.

    lifetime: seconds; None, or more than the site allows, gives the longest allowed.

    Nothing is signed when nothing is granted: even a token without scopes would prove to others who sent it.

    Raises ScopeError (MixedAudiences, UnknownEntityType, UnknownSubscope, MalformedScope), TokenTooLarge,
    KeysError, LedgerError, RateLimited, and NotAuthorized for an account that is not active.
    """
    authorizer = registry.authorizer()
    audience = _audience([authorizer.original_type(scope.entity_type) for scope in scopes])
    user = permissions.active_user(context)
    limits.count(user.id if user else None)
    # Many scopes, few datasets: CKAN is asked each question once per request.
    memory = permissions.Memory(refs={scope.entity_id for scope in scopes if scope.entity_id})
    # Each scope gets a context of its own: what an authorizer leaves in it must not reach the next.
    answers = [
        authorizer.grant(scope, context=permissions.context_for(user, memory))
        for scope in dict.fromkeys(scopes)
    ]
    granted = list(dict.fromkeys(answer for answer in answers if answer is not None))
    issued = Issued(
        user_id=user.id if user else None,
        requested=tuple(scopes),
        granted=tuple(dict.fromkeys(answer.scope for answer in granted)),
        token=_sign(granted, audience, lifetime, user) if granted else None,
    )
    issued.write_down(audience)
    return issued


def _audience(entity_types: Sequence[str]) -> str | None:
    # Chosen here, never by the caller: a token for one server must not open another.
    types = set(entity_types)
    if config.LFS_ENTITY_TYPE not in types:
        return config.audience()
    if len(types) > 1:
        raise MixedAudiences(config.LFS_ENTITY_TYPE, types)
    return config.lfs_audience()


def _sign(
    granted: Sequence[AuthorizedScope], audience: str | None, lifetime: int | None, user: Any
) -> tokens.MintedToken:
    longest = config.max_lifetime()
    minted = tokens.mint(
        config.signing_key(),
        granted,
        issuer=config.issuer(),
        audience=audience,
        lifetime=longest if lifetime is None else min(lifetime, longest),
        user=_about(user) if user else None,
    )
    if user:
        # Before anybody has the token: what is not in the ledger could not be taken back.
        with ledger.opened(config.engine()) as connection:
            ledger.record(
                connection,
                jti=minted.jti,
                user_id=user.id,
                scopes=list(dict.fromkeys(str(answer.scope) for answer in granted)),
                audience=audience,
                expires=minted.expires_at,
                retention=config.ledger_retention(),
            )
    return minted


def _about(user: Any) -> tokens.User:
    return tokens.User(user.id, user.name, user.fullname, user.email if config.include_user_email() else None)
