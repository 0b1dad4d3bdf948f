"""Looking into the ledger, and moving its rows in time, behind the back of the code under test."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.authz_service import tokens
from ckanext.authz_service.model import token, user_cutoff
from tests.authz_service.site import ask


def execute(statement: Any, **values: Any) -> Any:
    engine: Any = model.meta.engine
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement) if isinstance(statement, str) else statement, values)
        return result.fetchall() if result.returns_rows else []


def rows(user_id: str) -> list[Any]:
    return execute(sa.select(token).where(token.c.user_id == user_id).order_by(token.c.issued))


def cutoffs(user_id: str) -> list[Any]:
    return execute(sa.select(user_cutoff).where(user_cutoff.c.user_id == user_id))


def set_account(user: dict[str, Any], state: str) -> None:
    """As an administrator does at the database's prompt."""
    execute('UPDATE "user" SET state = :state WHERE id = :id', state=state, id=user["id"])
    model.Session.rollback()


def age(jti: str, by: timedelta) -> None:
    """Make the row of a token look as if it were older."""
    execute(
        sa.update(token)
        .where(token.c.jti == jti)
        .values(issued=token.c.issued - by, expires=token.c.expires - by)
    )


def jti_of(answer: dict[str, Any]) -> str:
    claims = tokens.unverified_claims(answer["token"])
    assert claims is not None
    return claims["jti"]


def issued_to(user: dict[str, Any] | None, *scopes: str, **more: Any) -> dict[str, Any]:
    """A token for a new public dataset, or for *scopes*."""
    scopes = scopes or (f"ds:{factories.Dataset()['name']}:read",)
    return ask(user["name"] if user else None, *scopes, **more)
