"""What can go wrong between a request for permission and a token that proves it.

Every error keeps its evidence as attributes; ``str()`` says what happened, what it means and what to
do about it. Pure: ``logic/errors.py`` is the one place that maps these kinds to CKAN's exceptions.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

TokenProblem = Literal[
    "too_large",
    "malformed",
    "wrong_type",
    "critical_header",
    "unknown_key",
    "wrong_algorithm",
    "bad_signature",
    "wrong_issuer",
    "wrong_audience",
    "bad_claim",
    "expired",
    "not_yet_valid",
    "lifetime_too_long",
    "bad_scope",
    "not_recorded",
    "revoked",
    "inactive_user",
]
"""Why a token was refused. These codes are public and stable; the sentences beside them are not."""


class AuthzError(Exception):
    """Root of everything this plugin raises on purpose."""


def quoted(text: object) -> str:
    """User input for an error message: short, quoted, without characters that could forge a log line."""
    shown = text if isinstance(text, str) else repr(text)
    return ascii(shown if len(shown) <= 80 else shown[:80] + "...")


# --- scopes -----------------------------------------------------------------------------------------------


class ScopeError(AuthzError, ValueError):
    """A scope cannot be used. ``scope`` is its text as asked for."""

    def __init__(self, scope: str, message: str):
        super().__init__(message)
        self.scope = scope


class MalformedScope(ScopeError):
    """The text is not a scope by the grammar. ``problem`` says which rule it breaks."""

    def __init__(self, scope: str, problem: str):
        super().__init__(
            scope,
            f"{quoted(scope)} is not a scope: {problem}. "
            "A scope reads type:ref:actions or type:ref:subscope:actions, as in ds:my-dataset:read,update.",
        )
        self.problem = problem


class UnknownEntityType(ScopeError):
    """No plugin answers for this type of entity. ``known`` lists, sorted, the types that have an answer."""

    def __init__(self, scope: str, entity_type: str, known: Iterable[str]):
        self.entity_type = entity_type
        self.known = tuple(sorted(known))
        super().__init__(
            scope,
            f"{quoted(scope)} asks about the entity type {quoted(entity_type)}, "
            f"for which no plugin of this site answers. Known types: {', '.join(self.known) or 'none'}.",
        )


class UnknownSubscope(ScopeError):
    """The type is known, this part of it is not. ``known`` lists, sorted, the subscopes with an answer."""

    def __init__(self, scope: str, entity_type: str, subscope: str | None, known: Iterable[str]):
        self.entity_type = entity_type
        self.subscope = subscope
        self.known = tuple(sorted(known))
        asked = f"the subscope {quoted(subscope)}" if subscope else "the whole entity, without a subscope"
        super().__init__(
            scope,
            f"{quoted(scope)} asks about {asked}, which the entity type {quoted(entity_type)} does not have. "
            f"Known subscopes: {', '.join(self.known) or 'none'}.",
        )


class MixedAudiences(ScopeError):
    """Scopes of one request are for different servers. ``entity_types`` lists what it asks for, sorted."""

    def __init__(self, lonely: str, entity_types: Iterable[str]):
        self.entity_types = tuple(sorted(entity_types))
        super().__init__(
            lonely,
            f"Scopes of the type {quoted(lonely)} need a token of their own, since it is for another server. "
            f"This request asks for {', '.join(self.entity_types)} together. Ask for them one by one.",
        )


class GiftlessScope(ScopeError):
    """A scope cannot be in a token for giftless. ``problem`` says why."""

    def __init__(self, scope: str, problem: str):
        super().__init__(
            scope,
            f"{quoted(scope)} cannot be in a token for giftless: {problem}. Nothing was issued. "
            "Such a scope reads obj:<namespace>/<dataset id>/<sha256>:<read or write>.",
        )
        self.problem = problem


class BindingError(AuthzError):
    """A plugin registered or answered something that the registry cannot use: a bug in that plugin."""

    def __init__(self, entity_type: str, problem: str):
        super().__init__(
            f"The authorization binding for {quoted(entity_type)} is wrong: {problem}. "
            "Nothing was granted; the plugin that registers it must be corrected."
        )
        self.entity_type = entity_type
        self.problem = problem


# --- limits -----------------------------------------------------------------------------------------------


class RateLimited(AuthzError):
    """Too many requests by one caller. ``limit`` requests in ``window`` seconds; ``retry_after``: seconds."""

    def __init__(self, limit: int, window: int, retry_after: int):
        super().__init__(
            f"This site issues at most {limit} tokens in {window} seconds to one caller, and these are used "
            f"up. Nothing was issued. Try again in {retry_after} seconds, and keep a token until it expires."
        )
        self.limit = limit
        self.window = window
        self.retry_after = retry_after


# --- keys -------------------------------------------------------------------------------------------------


class KeysError(AuthzError):
    """The site's key cannot be used. ``path`` is the file or directory, None if none is configured."""

    def __init__(self, path: Path | None, message: str):
        super().__init__(message)
        self.path = path


class MissingGiftlessKey(KeysError):
    """There is no key for giftless, so it gets no tokens."""

    def __init__(self, path: Path):
        super().__init__(
            path,
            f"There is no key at {path}, so no token for giftless was issued. "
            "Run: ckan authz giftless-key, and give giftless what it prints.",
        )


class GiftlessOff(KeysError):
    """A token for giftless was wanted on a site that does not use it."""

    def __init__(self) -> None:
        super().__init__(
            None,
            "The option ckanext.authz_service.giftless_profile is off, so no token for giftless was issued. "
            "If this site stores its files in a giftless, set it to true",
        )


class MissingKey(KeysError):
    """There is no key, so tokens can be neither issued nor checked."""

    def __init__(self, path: Path | None):
        where = (
            f"There is no key at {path}"
            if path
            else "The option ckanext.authz_service.keys_dir is not set, so this site has no signing key"
        )
        then = "Run: ckan authz keygen" if path else "Set it to a directory and run: ckan authz keygen"
        super().__init__(path, f"{where}. Tokens can be neither issued nor checked. {then}")


class KeyExists(KeysError):
    """``keygen`` would have overwritten a key, and with it every token that is still valid."""

    def __init__(self, path: Path):
        super().__init__(
            path,
            f"There is already a key at {path}; nothing was written. "
            "Overwriting it would make every token issued so far worthless. "
            "To replace it, run: ckan authz keys rotate",
        )


class UnusableKey(KeysError):
    """A key is there but cannot serve. ``problem`` says why; ``where`` is its file or its option."""

    def __init__(self, where: Path | str, problem: str):
        shown = where if isinstance(where, Path) else f"in the option {where}"
        super().__init__(
            where if isinstance(where, Path) else None, f"The key {shown} cannot be used: {problem}"
        )
        self.problem = problem


class UnsuitableAlgorithm(KeysError, ValueError):
    """Tokens are not signed with this algorithm. ``reason`` says why, ``algorithm`` is what was asked for."""

    def __init__(self, algorithm: str, known: Iterable[str]):
        self.algorithm = algorithm
        self.reason = _why_unsuitable(algorithm)
        super().__init__(
            None,
            f"Tokens cannot be signed with the algorithm {quoted(algorithm)}: {self.reason}. "
            f"Choose one of {', '.join(known)} (option ckanext.authz_service.jwt_algorithm).",
        )


def _why_unsuitable(algorithm: str) -> str:
    if algorithm.upper().startswith("HS"):
        return "its key is a secret that each server checking tokens would know, and could issue them with"
    if algorithm.lower() == "none":
        return "without a signature, a token says whatever its bearer writes into it"
    if algorithm == "dir" or algorithm.startswith(("RSA", "ECDH", "A128", "A192", "A256", "PBES2")):
        return "it encrypts (JWE), which everyone who has the public key can do, so it proves no issuer"
    return "it is not known here"


# --- tokens -----------------------------------------------------------------------------------------------


class InvalidToken(AuthzError):
    """A token that proves nothing. ``reason`` is one of ``TokenProblem``; the text never quotes the token."""

    def __init__(self, reason: TokenProblem, detail: str, advice: str = "Ask for a new one."):
        super().__init__(f"The token is not accepted: {detail}. {advice}")
        self.reason: TokenProblem = reason


class TokenTooLarge(AuthzError):
    """The token would be longer than verifiers accept. Sizes are in bytes."""

    def __init__(self, size: int, limit: int, scopes: int):
        super().__init__(
            f"A token with these {scopes} scopes would have {size} bytes; verifiers accept up to {limit}. "
            "Nothing was issued. Ask for fewer scopes at a time, or by the ids of datasets (ds:<id>:read): "
            "a scope with a name carries the id as well."
        )
        self.size = size
        self.limit = limit
        self.scopes = scopes


class UnfaithfulScope(AuthzError):
    """What would be written into a token does not read back as what was granted, so it is not signed."""

    def __init__(self, scope: str, problem: str):
        super().__init__(
            f"The scope {quoted(scope)} was not signed: {problem}. This is a bug in the code that granted it."
        )
        self.scope = scope
        self.problem = problem


# --- the ledger -------------------------------------------------------------------------------------------


class LedgerError(AuthzError):
    """The ledger of issued tokens cannot be used, so that no token is issued, and none of a user accepted."""


class LedgerMissing(LedgerError):
    """Its tables do not exist."""

    def __init__(self) -> None:
        super().__init__(
            "This site has no tables for issued tokens yet, so none can be issued or checked. "
            "Its administrator creates them with: ckan db upgrade -p authz_service"
        )


class LedgerUnavailable(LedgerError):
    """The database did not answer; the cause is chained and belongs into the log only."""

    def __init__(self) -> None:
        super().__init__(
            "This site cannot reach its list of issued tokens, so none can be issued or checked now. "
            "Nothing was changed; try again later."
        )
