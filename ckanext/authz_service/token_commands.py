"""``ckan authz tokens …``: what was issued, and taking it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa
from ckan import model

from ckanext.authz_service import config, ledger
from ckanext.authz_service.errors import LedgerError


@click.group("tokens", short_help="Tokens that were issued.")
def group() -> None:
    """Tokens that were issued."""


@group.command("list")
@click.option("--user", help="Id or name of a user: only that user's tokens.")
@click.option("--all", "every", is_flag=True, help="Also those that have expired or were revoked.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="How many.")
def list_(user: str | None, every: bool, limit: int) -> None:
    """One line for each token, the newest first: id, issued, expires, state, user, scopes."""
    with _ledger() as connection:
        user_id = _user_id(user) if user else None
        page, more = ledger.listing(connection, user_id=user_id, every=every, limit=limit)
    for entry in page:
        state = "live" if entry.live else "revoked" if entry.revoked_at else "ended"
        issued, expires = (when.isoformat(timespec="seconds") for when in (entry.issued, entry.expires))
        who = entry.user_name or entry.user_id
        click.echo(f"{entry.jti}  {issued}  {expires}  {state}  {who}  {' '.join(entry.scopes)}")
    if more:
        click.echo(f"There are more than these {limit}: --limit shows more.", err=True)


@group.command()
@click.argument("jti", required=False)
@click.option("--user", help="Instead of an id of a token: all tokens of the user with this id or name.")
def revoke(jti: str | None, user: str | None) -> None:
    """Take back the token with the id JTI, or all of a user."""
    if (jti is None) == (user is None):
        raise click.UsageError("Give the id of a token, or --user and a user to take back all of theirs.")
    with _ledger() as connection:
        if user is not None:
            count = ledger.revoke_all(connection, _user_id(user), None)
        elif ledger.owner(connection, jti or "") is None:
            raise click.ClickException("There is no such token, or it expired too long ago to be known.")
        else:
            count = ledger.revoke(connection, jti or "", None)
    click.echo(f"Revoked {count} live tokens.")


@group.command()
def prune() -> None:
    """Forget tokens that expired longer ago than ckanext.authz_service.ledger_retention says.

    Each new token takes a few old ones along, so this is needed only where none are issued any more.
    """
    with _ledger() as connection:
        count = ledger.prune(connection, config.ledger_retention())
    click.echo(f"Forgot {count} tokens.")


@contextmanager
def _ledger() -> Iterator[sa.Connection]:
    try:
        with ledger.opened(config.engine()) as connection:
            yield connection
    except LedgerError as error:
        raise click.ClickException(str(error)) from error


def _user_id(reference: str) -> str:
    user = model.User.get(reference)
    if user is None:
        raise click.ClickException(f"There is no user {reference!r}.")
    return user.id
