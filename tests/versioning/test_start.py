"""Switching the plugin on: tables, and what happens without them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
import sqlalchemy.exc
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model
from ckan.tests import factories

from ckanext.versioning import model as tables
from ckanext.versioning import recording
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


def execute(statement: str) -> None:
    engine: Any = model.meta.engine
    with engine.begin() as connection:
        connection.execute(sa.text(statement))


@pytest.fixture
def a_table_missing() -> Iterator[None]:
    # Loading the plugins asks again whether the tables are there, so no state is left to repair.
    execute("ALTER TABLE versioning_release RENAME TO hidden_release")
    try:
        yield
    finally:
        execute("ALTER TABLE IF EXISTS hidden_release RENAME TO versioning_release")


def test_without_tables_ckan_works_and_the_log_names_the_command(
    a_table_missing: None, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "ckanext.versioning"):
        recording.start()
        dataset = factories.Dataset()
        call("package_patch", id=dataset["id"], title="T")
    assert recorded.stored_title(dataset["id"]) == "T"
    loud = [record for record in caplog.records if "ckan db upgrade -p versioning" in record.getMessage()]
    assert [record.levelname for record in loud] == ["ERROR", "WARNING", "WARNING"]
    assert all(dataset["id"] in record.getMessage() for record in loud[1:])

    execute("ALTER TABLE hidden_release RENAME TO versioning_release")
    assert recorded.revisions(dataset["id"]) == []
    call("package_patch", id=dataset["id"], title="U")
    assert [(row.seq, row.origin) for row in recorded.revisions(dataset["id"])] == [
        (1, "baseline"),
        (2, "cli"),
    ]


def test_a_table_that_vanishes_later_fails_the_save():
    dataset = factories.Dataset(title="before")
    execute("ALTER TABLE versioning_metadata_blob RENAME TO hidden_blob")
    try:
        with pytest.raises(sqlalchemy.exc.ProgrammingError):
            call("package_patch", id=dataset["id"], title="T")
        model.Session.remove()
    finally:
        execute("ALTER TABLE hidden_blob RENAME TO versioning_metadata_blob")
    assert recorded.stored_title(dataset["id"]) == "before"


def test_the_migration_makes_the_tables_of_the_model():
    names = {table.name for table in tables.TABLES}
    engine: Any = model.meta.engine
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_object": lambda item, name, kind, *rest: kind != "table" or name in names,
            },
        )
        assert compare_metadata(context, model.meta.metadata) == []


def test_the_migration_can_be_taken_back(migrate_db_for):
    migrate_db_for("versioning", version="base", forward=False)
    try:
        engine: Any = model.meta.engine
        assert not {t.name for t in tables.TABLES} & set(sa.inspect(engine).get_table_names())
    finally:
        migrate_db_for("versioning")
    dataset = factories.Dataset()
    assert len(recorded.revisions(dataset["id"])) == 1
