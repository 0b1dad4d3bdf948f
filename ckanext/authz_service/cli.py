"""``ckan authz …``"""

from __future__ import annotations

import click

from ckanext.authz_service import config, giftless_profile, keys
from ckanext.authz_service.errors import KeysError, MissingKey

__all__ = ["authz"]


@click.group(short_help="Keys for signed permissions.")
def authz() -> None:
    """Keys for signed permissions."""


authz.add_command(giftless_profile.giftless_key)


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
