"""Uploads that arrive in pieces or at the store itself, are checked afterwards, or precede their dataset.

Revision ID: external_storage_0002
Revises: external_storage_0001
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "external_storage_0002"
down_revision = "external_storage_0001"
branch_labels = None
depends_on = None

UPLOAD = "external_storage_upload"


def upgrade() -> None:
    op.alter_column(UPLOAD, "package_id", nullable=True)
    op.alter_column(UPLOAD, "declared_oid", nullable=True)
    for column in (
        sa.Column("owner_org", sa.Text),
        sa.Column("filename", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("transfer", sa.Text, nullable=False, server_default="stream"),
        sa.Column("store_ref", sa.Text),
        sa.Column("etag", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("hashed", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("lease_until", sa.DateTime(timezone=True)),
        sa.Column("signed_until", sa.DateTime(timezone=True)),
    ):
        op.add_column(UPLOAD, column)
    op.drop_constraint("external_storage_upload_state", UPLOAD)
    states = "state IN ('open', 'received', 'verified', 'rejected', 'expired')"
    op.create_check_constraint("external_storage_upload_state", UPLOAD, states)
    transfers = "transfer IN ('stream', 'tus', 'put', 'multipart')"
    op.create_check_constraint("external_storage_upload_transfer", UPLOAD, transfers)
    rejected = "state <> 'rejected' OR reason IS NOT NULL"
    op.create_check_constraint("external_storage_upload_reason", UPLOAD, rejected)
    op.create_index(
        "external_storage_upload_fingerprint",
        UPLOAD,
        ["user_id", "package_id", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("state = 'open' AND fingerprint IS NOT NULL"),
    )
    op.create_index(
        "external_storage_upload_received",
        UPLOAD,
        ["lease_until"],
        postgresql_where=sa.text("state = 'received'"),
    )
    op.create_index("external_storage_upload_user", UPLOAD, ["user_id"])
    op.add_column("external_storage_dead_key", sa.Column("store_ref", sa.Text))
    op.execute(
        """
        CREATE OR REPLACE FUNCTION external_storage_upload_guard() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (NEW.id, NEW.user_id, NEW.key, NEW.declared_oid, NEW.declared_size)
                IS DISTINCT FROM
               (OLD.id, OLD.user_id, OLD.key, OLD.declared_oid, OLD.declared_size)
                OR (OLD.package_id IS NOT NULL AND NEW.package_id IS DISTINCT FROM OLD.package_id)
            THEN
                RAISE EXCEPTION 'what an upload declared cannot be changed (upload %)', OLD.id;
            END IF;
            IF NEW.state <> OLD.state AND NOT (
                OLD.state = 'open' OR (OLD.state = 'received' AND NEW.state IN ('verified', 'rejected'))
            ) THEN
                RAISE EXCEPTION 'an upload that is % cannot become %', OLD.state, NEW.state;
            END IF;
            RETURN NEW;
        END $$
        """
    )


def downgrade() -> None:
    # What the older tables cannot say is ended; bytes of it are deleted by the older sweeper.
    op.execute(
        """
        INSERT INTO external_storage_dead_key (key, not_before)
        SELECT key, now() FROM external_storage_upload
        WHERE state = 'received'
           OR state = 'open' AND (declared_oid IS NULL OR package_id IS NULL)
        ON CONFLICT DO NOTHING
        """
    )
    op.execute(
        """
        DELETE FROM external_storage_upload
        WHERE declared_oid IS NULL OR package_id IS NULL OR state IN ('received', 'rejected')
        """
    )
    op.drop_column("external_storage_dead_key", "store_ref")
    op.drop_index("external_storage_upload_user")
    op.drop_index("external_storage_upload_received")
    op.drop_index("external_storage_upload_fingerprint")
    for name in ("reason", "transfer", "state"):
        op.drop_constraint(f"external_storage_upload_{name}", UPLOAD)
    states = "state IN ('open', 'verified', 'expired')"
    op.create_check_constraint("external_storage_upload_state", UPLOAD, states)
    for name in (
        "owner_org", "filename", "fingerprint", "transfer", "store_ref", "etag", "reason", "attempts",
        "hashed", "lease_until", "signed_until",
    ):  # fmt: skip
        op.drop_column(UPLOAD, name)
    op.alter_column(UPLOAD, "package_id", nullable=False)
    op.alter_column(UPLOAD, "declared_oid", nullable=False)
    op.execute(
        """
        CREATE OR REPLACE FUNCTION external_storage_upload_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
