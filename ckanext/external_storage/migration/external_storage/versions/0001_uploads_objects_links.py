"""Uploads, objects, links, dead keys.

Revision ID: external_storage_0001
Revises:
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "external_storage_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "external_storage_upload",
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
        sa.CheckConstraint(
            "(state = 'verified') = (oid IS NOT NULL)", name="external_storage_upload_verified"
        ),
        sa.CheckConstraint("oid = declared_oid", name="external_storage_upload_oid"),
    )
    op.create_index(
        "external_storage_upload_open",
        "external_storage_upload",
        ["user_id", "package_id", "declared_oid", "declared_size"],
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "external_storage_upload_expiry",
        "external_storage_upload",
        ["expires_at"],
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("external_storage_upload_package", "external_storage_upload", ["package_id"])
    op.create_table(
        "external_storage_object",
        sa.Column("oid", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.CheckConstraint("oid ~ '^[0-9a-f]{64}$'", name="external_storage_object_oid"),
        sa.CheckConstraint("size >= 0", name="external_storage_object_size"),
    )
    op.create_table(
        "external_storage_link",
        sa.Column("oid", sa.Text, sa.ForeignKey("external_storage_object.oid", ondelete="RESTRICT")),
        sa.Column("package_id", sa.Text),
        sa.Column("upload_id", postgresql.UUID(as_uuid=False), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.PrimaryKeyConstraint("oid", "package_id"),
    )
    op.create_index("external_storage_link_package", "external_storage_link", ["package_id"])
    op.create_table(
        "external_storage_dead_key",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
    )
    # The database itself keeps an upload from being re-opened, re-assigned or re-declared.
    op.execute(
        """
        CREATE FUNCTION external_storage_upload_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (NEW.id, NEW.package_id, NEW.user_id, NEW.key, NEW.declared_oid, NEW.declared_size)
                IS DISTINCT FROM
               (OLD.id, OLD.package_id, OLD.user_id, OLD.key, OLD.declared_oid, OLD.declared_size)
            THEN
                RAISE EXCEPTION 'what an upload declared cannot be changed (upload %)', OLD.id;
            END IF;
            IF NEW.state <> OLD.state AND OLD.state <> 'open' THEN
                RAISE EXCEPTION 'an upload that is % cannot become %', OLD.state, NEW.state;
            END IF;
            RETURN NEW;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER external_storage_upload_guard BEFORE UPDATE ON external_storage_upload
        FOR EACH ROW EXECUTE FUNCTION external_storage_upload_guard()
        """
    )


def downgrade() -> None:
    for table in ("link", "object", "dead_key", "upload"):
        op.drop_table(f"external_storage_{table}")
    op.execute("DROP FUNCTION external_storage_upload_guard")
