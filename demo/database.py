"""The demo's database, its own or a given one: which demo it belongs to, and what version its tables have.

A table of one row says so in the database itself, because a file could outlive the database or get lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

TABLE = "ckanext_publish_demo"
CONNECT_SECONDS = 10
#: Tables, views, sequences and the like, without those that PostgreSQL or an extension of it brought.
CONTENT = text(
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' AND NOT EXISTS "
    "(SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')"
)


class NotEmpty(Exception):
    """There is something in the database, and no demo made it."""


def owner(url: str) -> str | None:
    """The name of the demo that made what is in the database; None when it is empty, NotEmpty otherwise."""
    with _connected(url) as connection:
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": TABLE}).scalar() is not None:
            return connection.execute(text(f"SELECT demo FROM {TABLE}")).scalar()  # noqa: S608
        if connection.execute(CONTENT).scalar():
            raise NotEmpty
    return None


def try_to_write(url: str) -> None:
    """Create a table and take it back; raises SQLAlchemy's error if that is not possible."""
    with _connected(url) as connection:
        connection.execute(text(f"CREATE TABLE {TABLE}_attempt (attempt text)"))
        connection.rollback()


def claim(url: str, demo: str) -> None:
    """Make an empty database that of ``demo``, before anything else comes into it."""
    with _connected(url) as connection, connection.begin():
        connection.execute(text(f"CREATE TABLE {TABLE} (demo text NOT NULL, tables text)"))
        connection.execute(text(f"INSERT INTO {TABLE} VALUES (:demo)"), {"demo": demo})  # noqa: S608


def tables_version(url: str) -> str | None:
    """What ``record_tables_version`` last said; None while there are no tables, or unfinished ones."""
    with _connected(url) as connection:
        return connection.execute(text(f"SELECT tables FROM {TABLE}")).scalar()  # noqa: S608


def record_tables_version(url: str, version: str) -> None:
    with _connected(url) as connection, connection.begin():
        connection.execute(text(f"UPDATE {TABLE} SET tables = :version"), {"version": version})  # noqa: S608


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    """By SQLAlchemy, which takes the address as CKAN does."""
    options = {"connect_timeout": CONNECT_SECONDS}
    with create_engine(url, future=True, poolclass=NullPool, connect_args=options).connect() as connection:
        yield connection
