"""What the database role of a standalone LFS server may do, and no more."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from ckanext.authz_service import ledger
from ckanext.authz_service import model as authz_model
from ckanext.external_storage import model
from ckanext.external_storage.lfs import datasets


def grants(role: str, database: str, schema: str) -> str:
    """SQL that gives an existing role of PostgreSQL these rights and takes all others on the schema's tables.

    Of CKAN's own tables it gets columns, not views: a view would keep CKAN's migrations from changing them.
    """
    quote = postgresql.dialect().identifier_preparer.quote_identifier
    to, in_schema = quote(role), quote(schema)
    lines = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {in_schema} FROM {to};",
        f"GRANT CONNECT ON DATABASE {quote(database)} TO {to};",
        f"GRANT USAGE ON SCHEMA {in_schema} TO {to};",
    ]
    for name in model.metadata.tables:
        lines.append(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {in_schema}.{quote(name)} TO {to};")
    for name in authz_model.metadata.tables:
        lines.append(f"GRANT SELECT ON {in_schema}.{quote(name)} TO {to};")
    for table in (*datasets.TABLES, ledger.USER):
        columns = ", ".join(quote(column.name) for column in table.columns)
        lines.append(f"GRANT SELECT ({columns}) ON {in_schema}.{quote(table.name)} TO {to};")
    return "\n".join(["BEGIN;", *lines, "COMMIT;"])


def place(engine: sa.Engine) -> tuple[str, str]:
    """The names of CKAN's database and of the schema that its tables are in."""
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT current_database(), current_schema()")).one()
    return row[0], row[1]
