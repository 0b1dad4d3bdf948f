"""``ckan authz …``"""

from __future__ import annotations

import click

from ckanext.authz_service import config, explaining, keys
from ckanext.authz_service.errors import KeysError, MissingKey, ScopeError

__all__ = ["authz"]


@click.group(short_help="Keys for signed permissions.")
def authz() -> None:
    """Keys for signed permissions."""


@authz.command()
@click.option(
    "--algorithm",
    type=click.Choice(keys.ALGORITHMS),
    default="RS256",
    show_default=True,
    help="RS256 is understood by every verifier; the others make shorter tokens.",
)
def keygen(algorithm: str) -> None:
    """Create the key that signs tokens, in the directory ckanext.authz_service.keys_dir.

    A key that is already there is never overwritten.
    """
    directory = config.keys_dir()
    if directory is None:
        raise click.ClickException(str(MissingKey(None)))
    try:
        key = keys.generate(directory, algorithm)
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"private key: {keys.private_path(directory)}  (only CKAN may read it)")
    click.echo(f"public key:  {keys.public_path(directory)}  (for servers that check tokens)")
    click.echo(f"kid:         {key.kid}")


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
