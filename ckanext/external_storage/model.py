"""The four tables that say which bytes exist, for which dataset, and which must go.

Rules and reasons are in docs/external_storage.rst. Plain SQLAlchemy without CKAN's model, so that the
LFS application can also run in a process without CKAN.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

#: One attempt to bring bytes in. ``open → verified | expired`` here; a trigger allows no other
#: transition and keeps what was declared unchanged. Sizes are in bytes.
upload = sa.Table(
    "external_storage_upload",
    metadata,
    sa.Column("id", postgresql.UUID(as_uuid=False), primary_key=True),
    sa.Column("package_id", sa.Text, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("declared_oid", sa.Text, nullable=False),
    sa.Column("declared_size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("oid", sa.Text),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("declared_size >= 0", name="external_storage_upload_size"),
    sa.CheckConstraint("declared_oid ~ '^[0-9a-f]{64}$'", name="external_storage_upload_declared_oid"),
    sa.CheckConstraint("state IN ('open', 'verified', 'expired')", name="external_storage_upload_state"),
    sa.CheckConstraint("(state = 'verified') = (oid IS NOT NULL)", name="external_storage_upload_verified"),
    sa.CheckConstraint("oid = declared_oid", name="external_storage_upload_oid"),
    # One open upload per user, dataset and declared content: a repeated batch gets the same one.
    sa.Index(
        "external_storage_upload_open",
        "user_id",
        "package_id",
        "declared_oid",
        "declared_size",
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    ),
    sa.Index("external_storage_upload_expiry", "expires_at", postgresql_where=sa.text("state = 'open'")),
    sa.Index("external_storage_upload_package", "package_id"),
)

#: Bytes that are present under ``key`` and were hashed. The primary key is what "create once" means.
object = sa.Table(
    "external_storage_object",
    metadata,
    sa.Column("oid", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.CheckConstraint("oid ~ '^[0-9a-f]{64}$'", name="external_storage_object_oid"),
    sa.CheckConstraint("size >= 0", name="external_storage_object_size"),
)

#: This dataset brought these bytes itself. Nothing refers to an object without a link.
link = sa.Table(
    "external_storage_link",
    metadata,
    sa.Column("oid", sa.Text, sa.ForeignKey("external_storage_object.oid", ondelete="RESTRICT")),
    sa.Column("package_id", sa.Text),
    sa.Column("upload_id", postgresql.UUID(as_uuid=False), nullable=False),
    sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.PrimaryKeyConstraint("oid", "package_id"),
    sa.Index("external_storage_link_package", "package_id"),
)

#: The only list of things to delete from the store.
dead_key = sa.Table(
    "external_storage_dead_key",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
)
