"""Tokens for a giftless, on behalf of CKAN's users, and the command that creates the key which signs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
from ckan.types import Context

from ckanext.authz_service import config, giftless, keys, limits, permissions, registry, tokens
from ckanext.authz_service import giftless_key as own_key
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import GiftlessOff, GiftlessScope, KeysError, MissingKey
from ckanext.authz_service.issuing import Issued
from ckanext.authz_service.scope import Scope

_AUDIENCE = "giftless"
"""In the audit log. The tokens themselves have no audience."""


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
    scope = Scope("obj", f"{namespace}/{dataset_id}/{oid}", [action])
    user = permissions.active_user(context)
    return _issue(user, scope, giftless.LIFETIME, whole_dataset=False).token


def hands_out(scopes: Sequence[Scope]) -> bool:
    """Whether a caller who asks for these gets a token for giftless, as older upload forms need it."""
    return config.legacy_browser_tokens() and scopes[0].entity_type == config.LFS_ENTITY_TYPE


def issue(context: Context, scopes: Sequence[Scope], lifetime: int | None = None) -> Issued:
    """What `issuing.issue` is for other tokens: for one scope, which may be about all objects of a dataset.

    lifetime: seconds; at most giftless.LIFETIME.

    Raises GiftlessScope, and what `issuing.issue` raises.
    """
    if len(set(scopes)) > 1:
        raise GiftlessScope(
            str(scopes[1]), "giftless does not unite scopes, so each needs a token of its own"
        )
    user = permissions.active_user(context)
    limits.count(user.id if user else None)
    return _issue(user, scopes[0], lifetime or giftless.LIFETIME, whole_dataset=True)


def _issue(user: Any, scope: Scope, lifetime: int, *, whole_dataset: bool) -> Issued:
    key = signing_key()
    answer = _granted(user, scope)
    token = None
    if answer is not None:
        token = giftless.mint(
            key,
            answer,
            issuer=config.issuer(),
            user=tokens.User(user.id, user.name, user.fullname) if user else None,
            lifetime=lifetime,
            whole_dataset=whole_dataset,
        )
    issued = Issued(user.id if user else None, (scope,), (answer.scope,) if answer else (), token)
    issued.write_down(_AUDIENCE)
    return issued


def _granted(user: Any, scope: Scope) -> AuthorizedScope | None:
    context = permissions.context_for(user, permissions.Memory())
    answer = registry.authorizer().grant(scope, context=context)
    return giftless.without_unknown_actions(answer) if answer else None


def signing_key() -> keys.SigningKey:
    """`giftless_key.signing_key`, if the site wants such tokens. Raises GiftlessOff, too."""
    if not config.giftless_profile():
        raise GiftlessOff
    return own_key.signing_key()


@click.command("giftless-key")
def giftless_key() -> None:
    """Print the public key that a giftless needs to check this site's tokens for it.

    The key is created if there is none. It lies in the directory ckanext.authz_service.keys_dir.
    """
    directory = config.keys_dir()
    if directory is None:
        raise click.ClickException(str(MissingKey(None)))
    try:
        try:
            key = keys.load(directory, giftless.ROLE)
        except MissingKey:
            key = keys.generate(directory, giftless.ALGORITHM, giftless.ROLE)
            private = keys.private_path(directory, giftless.ROLE)
            click.echo(f"Created {private}. Only CKAN may read it.", err=True)
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"For giftless, public_key_file: {keys.public_path(directory, giftless.ROLE)}", err=True)
    click.echo(key.public.pem, nl=False)
