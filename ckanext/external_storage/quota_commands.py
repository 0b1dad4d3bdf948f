"""``ckan external-storage quota …``"""

from __future__ import annotations

import click
from ckan import model

from ckanext.authz_service.command_output import answer
from ckanext.external_storage import config, sizes
from ckanext.external_storage.sizes import readable
from ckanext.external_storage.transfer import quota


@click.group("quota")
def group() -> None:
    """What organisations keep and may keep."""


@group.command()
@click.argument("organization")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def show(organization: str, as_json: bool) -> None:
    """Say how much ORGANIZATION (a name or an id) keeps, and may keep."""
    with config.engine().connect() as connection:
        usage = quota.usage(connection, _id(organization))
    if as_json:
        answer({"used": usage.used, "reserved": usage.reserved, "limit": usage.limit})
        return
    click.echo(f"files:             {readable(usage.used):>12}")
    click.echo(f"uploads under way: {readable(usage.reserved):>12}")
    click.echo(f"limit:             {readable(usage.limit) if usage.limit is not None else 'none':>12}")


@group.command("set")
@click.argument("organization")
@click.argument("size", metavar="SIZE|none|default")
def set_(organization: str, size: str) -> None:
    """Let ORGANIZATION (a name or an id) keep SIZE, as 500GB or 1.5TiB; none: as much as there is room.

    default: what the option ckanext.external_storage.quota says, now and later.
    """
    id = _id(organization)
    try:
        limit = None if size in ("none", "default") else sizes.parse(size)
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    with config.engine().begin() as connection:
        if size == "default":
            quota.unset_limit(connection, id)
        else:
            quota.set_limit(connection, id, limit)
        usage = quota.usage(connection, id)
    if usage.limit is not None and usage.total > usage.limit:
        click.echo(
            f"{organization} keeps {readable(usage.total)} already; uploads are refused until it is less."
        )
    click.echo(f"{organization} may keep {'anything' if usage.limit is None else readable(usage.limit)}.")


def _id(organization: str) -> str:
    found = model.Group.get(organization)
    if found is None or not found.is_organization:
        raise click.ClickException(f"There is no organisation {organization!r}.")
    return found.id
