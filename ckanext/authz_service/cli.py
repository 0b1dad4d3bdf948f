"""``ckan authz …``"""

from __future__ import annotations

import click

from ckanext.authz_service import (
    checks,
    config,
    explaining,
    giftless_profile,
    key_commands,
    keys,
    token_commands,
)
from ckanext.authz_service.command_output import report
from ckanext.authz_service.errors import KeysError, MissingKey, ScopeError

__all__ = ["authz"]

_KINDS = ("RS256", "ES256", "EdDSA")


@click.group(short_help="Signed permissions.")
def authz() -> None:
    """Signed permissions: keys, and the tokens that were issued."""


authz.add_command(key_commands.group)
authz.add_command(token_commands.group)
authz.add_command(giftless_profile.giftless_key)


@authz.command()
@click.option(
    "--algorithm",
    metavar="|".join(_KINDS),
    help="RS256 is understood by every verifier; the others make shorter tokens. "
    "[default: the option ckanext.authz_service.jwt_algorithm, or RS256]",
)
def keygen(algorithm: str | None) -> None:
    """Create the key that signs tokens, in the directory ckanext.authz_service.keys_dir.

    A key that is already there is never overwritten: ckan authz keys rotate replaces it.
    """
    directory = config.keys_dir()
    try:
        if directory is None:
            raise MissingKey(None)
        asked, configured = keys.suitable(algorithm or "RS256"), config.algorithm()
        if algorithm and asked not in (*_KINDS, configured):
            raise click.ClickException(
                f"RSA keys do not say that they are for {asked}. "
                f"Set ckanext.authz_service.jwt_algorithm = {asked} and run: ckan authz keygen"
            )
        key = keys.generate(directory, asked if algorithm else configured or asked).using(configured)
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"private key: {keys.private_path(directory)}  (only CKAN may read it)")
    click.echo(f"public key:  {keys.public_path(directory)}  (for servers that check tokens)")
    click.echo(f"kid:         {key.kid}")
    click.echo(f"algorithm:   {key.algorithm}")


@authz.command()
def check() -> None:
    """Say what is wrong with the set-up and how to repair it. Fails if anything is.

    Run it as the user CKAN runs as.
    """
    report(checks.CHECKS)


@authz.command()
@click.argument("user")
@click.argument("scope")
def explain(user: str, scope: str) -> None:
    """Say which check grants or refuses what SCOPE asks for.

    USER is a name or id, or "-" for anonymous callers. No token is made.
    """
    try:
        for line in explaining.explain(user, scope):
            click.echo(line)
    except (ScopeError, explaining.UnknownUser) as error:
        raise click.ClickException(str(error)) from error
