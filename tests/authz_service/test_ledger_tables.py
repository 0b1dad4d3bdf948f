"""The ledger's tables: made by the migration, and what happens while they or the database are not there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model
from ckan.tests import factories
from click.testing import CliRunner

from ckanext.authz_service import config, ledger
from ckanext.authz_service.cli import authz
from ckanext.authz_service.model import metadata
from tests.authz_service.ledger_rows import execute, issued_to, rows
from tests.authz_service.site import account

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

UPGRADE = "ckan db upgrade -p authz_service"


@pytest.fixture
def without_tables(with_plugins) -> Iterator[None]:
    names = list(metadata.tables)
    for name in names:
        execute(f"ALTER TABLE {name} RENAME TO hidden_{name}")
    try:
        yield
    finally:
        model.Session.rollback()
        for name in names:
            execute(f"ALTER TABLE IF EXISTS hidden_{name} RENAME TO {name}")


def test_without_tables_no_token_is_given_and_the_error_names_the_command(without_tables):
    user = factories.User()
    for action, caller, data in (
        ("authz_authorize", user, {"scopes": f"ds:{factories.Dataset()['name']}:read"}),
        ("authz_token_list", user, {}),
        ("authz_token_revoke", user, {"user_id": user["id"]}),
        ("authz_token_revoke", user, {"jti": "x"}),
    ):
        with pytest.raises(tk.ObjectNotFound, match=UPGRADE):
            tk.get_action(action)({"user": caller["name"]}, data)
    result = CliRunner().invoke(authz, ["tokens", "list"])
    assert (result.exit_code, UPGRADE in result.output) == (1, True)


def test_without_tables_tokens_of_users_cannot_be_checked():
    user = factories.User()
    token = issued_to(user)["token"]
    anonymous = issued_to(None)["token"]
    execute("ALTER TABLE authz_service_token RENAME TO hidden_token")
    try:
        with pytest.raises(tk.ObjectNotFound, match=UPGRADE):
            tk.get_action("authz_verify")({"user": ""}, {"token": token})
        assert tk.get_action("authz_verify")({"user": ""}, {"token": anonymous})["verified"] is True
    finally:
        execute("ALTER TABLE hidden_token RENAME TO authz_service_token")


def test_without_tables_accounts_can_be_deactivated(without_tables):
    user = account(factories.User())
    user.state = model.State.DELETED
    model.Session.commit()
    assert account({"id": user.id}).state == model.State.DELETED


def test_without_a_database_no_token_is_given(monkeypatch, caplog):
    user, scope = factories.User(), f"ds:{factories.Dataset()['name']}:read"
    nowhere = sa.create_engine("postgresql://nobody:hunter2@127.0.0.1:1/nothing")
    monkeypatch.setattr(config, "engine", lambda: nowhere)
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(tk.ObjectNotFound, match="try again later") as raised,
    ):
        issued_to(user, scope)
    assert "127.0.0.1" in caplog.text, "the administrator learns the reason"
    assert "127.0.0.1" not in str(raised.value)
    assert "hunter2" not in caplog.text
    assert rows(user["id"]) == []


def test_the_migration_makes_the_tables_of_the_model():
    engine: Any = model.meta.engine
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda item, name, kind, *rest: kind != "table" or name in metadata.tables,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_the_migration_can_be_taken_back(migrate_db_for):
    engine: Any = model.meta.engine
    migrate_db_for("authz_service", version="base", forward=False)
    try:
        with engine.connect() as connection:
            assert not ledger.tables_present(connection)
    finally:
        migrate_db_for("authz_service")
    assert issued_to(factories.User())["token"]
