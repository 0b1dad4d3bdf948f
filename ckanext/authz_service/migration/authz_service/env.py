"""Alembic environment, run by ``ckan db upgrade -p authz_service``."""

from alembic import context
from sqlalchemy import create_engine, pool

from ckanext.authz_service.model import metadata

url = context.config.get_main_option("sqlalchemy.url", "")
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="authz_service_alembic_version",
        include_object=lambda item, name, kind, *rest: kind != "table" or name in metadata.tables,
    )
    with context.begin_transaction():
        context.run_migrations()
