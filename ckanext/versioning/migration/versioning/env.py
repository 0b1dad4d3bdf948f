"""Alembic environment, run by ``ckan db upgrade -p versioning``."""

from alembic import context
from sqlalchemy import engine_from_config, pool

from ckanext.versioning.model import TABLES, feed

engine = engine_from_config(context.config.get_section("alembic") or {}, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=TABLES[0].metadata,
        # A constant: the tables stay the same if a site loads the plugin under another name.
        version_table="versioning_alembic_version",
        include_object=lambda item, name, kind, *rest: (
            kind != "table" or name in {t.name for t in (*TABLES, feed)}
        ),
    )
    with context.begin_transaction():
        context.run_migrations()
