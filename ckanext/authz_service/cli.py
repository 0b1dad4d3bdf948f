"""``ckan authz …``"""

from __future__ import annotations

from pathlib import Path

import click

from ckanext.authz_service import config, giftless, keys
from ckanext.authz_service.errors import KeysError, MissingKey

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
@click.option(
    "--giftless",
    "for_giftless",
    is_flag=True,
    help="Create the key for tokens that only a giftless accepts (RS256), and print its public half.",
)
def keygen(algorithm: str, for_giftless: bool) -> None:
    """Create the key that signs tokens, in the directory ckanext.authz_service.keys_dir.

    A key that is already there is never overwritten.
    """
    directory = config.keys_dir()
    if directory is None:
        raise click.ClickException(str(MissingKey(None)))
    if for_giftless:
        _keygen_for_giftless(directory, algorithm)
        return
    try:
        key = keys.generate(directory, algorithm)
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"private key: {keys.private_path(directory)}  (only CKAN may read it)")
    click.echo(f"public key:  {keys.public_path(directory)}  (for servers that check tokens)")
    click.echo(f"kid:         {key.kid}")


def _keygen_for_giftless(directory: Path, algorithm: str) -> None:
    if algorithm != giftless.ALGORITHM:
        raise click.ClickException(
            f"The key for giftless is for {giftless.ALGORITHM}. Leave --algorithm out."
        )
    try:
        key = keys.generate(directory, giftless.ALGORITHM, giftless.ROLE)
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"private key: {keys.private_path(directory, giftless.ROLE)}  (only CKAN may read it)")
    click.echo(f"public key:  {keys.public_path(directory, giftless.ROLE)}  (for giftless: public_key_file)")
    click.echo(key.public.pem, nl=False)
