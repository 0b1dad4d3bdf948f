"""Alembic environment, run by ``ckan db upgrade -p external_storage``."""

from alembic import context
from sqlalchemy import create_engine, pool

from ckanext.external_storage.model import metadata

url = context.config.get_main_option("sqlalchemy.url", "")
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        # A constant: the tables stay the same if a site loads the plugin under another name.
        version_table="external_storage_alembic_version",
        include_object=lambda item, name, kind, *rest: kind != "table" or name in metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()
