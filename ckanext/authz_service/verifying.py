"""Checking tokens where this site's database is at hand: signed here, and not taken back since."""

from __future__ import annotations

from ckanext.authz_service import config, ledger, tokens
from ckanext.authz_service.errors import InvalidToken


def lfs_token(token: str) -> tokens.VerifiedToken:
    """What a token proves to the site's LFS server. Raises InvalidToken, UnusableKey, LedgerError."""
    return _still_counts(signed_lfs_token(token))


def signed_lfs_token(token: str) -> tokens.VerifiedToken:
    """The same, but for what the ledger says, which the caller asks (`ledger.check`): the database is not
    asked. Raises InvalidToken, UnusableKey."""
    return _proved(token, config.lfs_audience())


def any_token(token: str) -> tokens.VerifiedToken:
    """What a token of this site proves to the server that it is for, whichever that is.

    Raises InvalidToken, UnusableKey, LedgerError.
    """
    try:
        proved = _proved(token, config.audience())
    except InvalidToken as error:
        if error.reason != "wrong_audience":
            raise
        proved = _proved(token, config.lfs_audience())
    return _still_counts(proved)


def _proved(token: str, audience: str | None) -> tokens.VerifiedToken:
    return tokens.verify(token, config.verification_keys(), config.issuer(), audience, config.max_lifetime())


def _still_counts(proved: tokens.VerifiedToken) -> tokens.VerifiedToken:
    # Anonymous users have no account and no row: there is nothing to ask.
    if proved.user_id is not None:
        with ledger.opened(config.engine()) as connection:
            ledger.check(connection, proved.jti, proved.user_id)
    return proved
