"""``ckan external-storage …``"""

from __future__ import annotations

import click

from ckanext.external_storage import config, quota_commands, roles, upkeep_commands
from ckanext.external_storage.lfs import capability

__all__ = ["external_storage"]  # what the blanket in plugin.py registers


@click.group("external-storage", short_help="Files in the external store.")
def external_storage() -> None:
    pass


for command in (
    upkeep_commands.check,
    upkeep_commands.cleanup,
    upkeep_commands.stats,
    upkeep_commands.verify,
    quota_commands.group,
):
    external_storage.add_command(command)


@external_storage.command()
def keygen() -> None:
    """Write the secret that signs what the Git LFS batch API hands out."""
    path = config.capability_secret_file()
    if path is None:
        raise click.ClickException("Set ckanext.external_storage.capability_secret_file first.")
    try:
        capability.generate(path)
    except FileExistsError:
        raise click.ClickException(
            f"{path} exists and was left as it is. To replace it, remove it first:"
            " transfers under way must then be started again."
        ) from None
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror}.") from None
    click.echo(f"Wrote the capability secret to {path}.")


@external_storage.command("grant-role")
@click.argument("role")
def grant_role(role: str) -> None:
    """Print SQL that lets ROLE serve files, and nothing else: for a standalone server.

    The role must exist. As an owner of CKAN's tables: ckan external-storage grant-role lfs | psql …
    """
    click.echo(roles.grants(role, *roles.place(config.engine())))
