"""Databases in the cluster: made, dropped, and which version of the schema they should have."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from services import postgres, progress
from services.checkout import ROOT, VENV
from services.settings import HOST, Settings

#: The role that reads the DataStore for visitors.
READER = "ckan_datastore_reader"


def create(settings: Settings, name: str, template: str = "template0") -> None:
    """Make the database afresh: what had that name is dropped."""
    drop(settings, name)
    _execute(settings, "CREATE DATABASE {} TEMPLATE {}", sql.Identifier(name), sql.Identifier(template))


def create_datastore(settings: Settings, name: str, site: str) -> dict[str, str]:
    """Make a database for CKAN's DataStore as CKAN documents it, for the site on the database *site*; its
    options. A role that may only read is made with the first one."""
    from ckanext.datastore.cli import permissions_sql

    create(settings, name)
    if (READER,) not in _execute(settings, "SELECT rolname FROM pg_roles"):
        create_role = "CREATE ROLE {} LOGIN PASSWORD {}"
        _execute(settings, create_role, sql.Identifier(READER), sql.Literal(settings.password))
    write_url = settings.database_url(name)
    where = ("--host", HOST, "--port", str(settings.ports["postgres"]), "--username", "ckan")
    subprocess.run(
        [postgres.binaries() / "psql", *where, "--dbname", name, "--quiet", "--set", "ON_ERROR_STOP=1"],
        input=permissions_sql(site, name, "ckan", "ckan", READER),
        stdout=subprocess.DEVNULL,
        check=True,
        text=True,
        env={**os.environ, "PGPASSWORD": settings.password},
    )
    return {
        "ckan.datastore.write_url": write_url,
        "ckan.datastore.read_url": write_url.replace("//ckan:", f"//{READER}:", 1),
    }


def drop(settings: Settings, name: str) -> None:
    # FORCE: a killed test run may have left connections that nobody uses.
    for tries_left in reversed(range(50)):
        try:
            _execute(settings, "DROP DATABASE IF EXISTS {} WITH (FORCE)", sql.Identifier(name))
        except psycopg2.errors.InsufficientPrivilege:  # autovacuum is in it: nobody's to end, and soon done
            if not tries_left:
                raise
            time.sleep(0.2)
        else:
            return


def rename(settings: Settings, name: str, new_name: str) -> None:
    _execute(settings, "ALTER DATABASE {} RENAME TO {}", sql.Identifier(name), sql.Identifier(new_name))


def names(settings: Settings) -> list[str]:
    return [name for (name,) in _execute(settings, "SELECT datname FROM pg_database")]


def upgrade(ini: Path, log: str) -> None:
    """Bring core's tables and those of every plugin in ``ini`` to their newest version."""
    progress.run(
        [VENV / "bin/ckan", "-c", ini, "db", "upgrade"],
        log=log,
        advice="a migration or a plugin's start-up is at fault; the traceback above shows which.",
    )


def schema_version(plugins: str) -> str:
    """A hash that changes with CKAN's version, the plugins and any file of a migration of ours."""
    digest = hashlib.sha256(f"{version('ckan')}\n{plugins}\n".encode())
    for path in sorted(_migration_files()):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _migration_files() -> Iterable[Path]:
    for path in (ROOT / "ckanext").glob("*/migration/**/*"):
        if path.is_file() and path.suffix != ".pyc":
            yield path


def _execute(settings: Settings, statement: str, *parts: sql.Composable) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(settings.database_url("postgres"))) as connection:
        connection.autocommit = True  # a database cannot be created in a transaction
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*parts))
            return cursor.fetchall() if cursor.description else []
