"""Revisions, states of resources, bodies, releases.

Revision ID: versioning_0001
Revises:
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "versioning_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "versioning_revision",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("parent_id", sa.Text),
        sa.Column("meta_sha", sa.Text, nullable=False),
        sa.Column("body_sha", sa.Text, nullable=False),
        sa.Column("body_salt", sa.LargeBinary),
        sa.Column("author_id", sa.Text),
        sa.Column("author_name", sa.Text),
        sa.Column("author_sha", sa.Text, nullable=False),
        sa.Column("author_salt", sa.LargeBinary),
        sa.Column("message", sa.Text),
        sa.Column("message_sha", sa.Text, nullable=False),
        sa.Column("message_salt", sa.LargeBinary),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("changeset", sa.Text, nullable=False),
        sa.Column("labels", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("summary", postgresql.JSONB, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(seq = 1) = (parent_id IS NULL) AND seq >= 1", name="versioning_revision_chain"),
    )
    op.create_index(
        "versioning_revision_changeset", "versioning_revision", ["package_id", "changeset", "seq"]
    )
    op.create_table(
        "versioning_resource_state",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("resource_id", sa.Text, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("meta_sha", sa.Text, nullable=False),
        sa.Column("oid", sa.Text),
        sa.Column("size", sa.BigInteger),
        sa.Column("from_seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("to_seq", sa.Integer),
        sa.CheckConstraint("to_seq > from_seq", name="versioning_resource_state_range"),
    )
    op.create_index(
        "versioning_resource_state_current",
        "versioning_resource_state",
        ["package_id", "resource_id"],
        unique=True,
        postgresql_where=sa.text("to_seq IS NULL"),
    )
    op.create_table(
        "versioning_metadata_blob",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("sha", sa.Text, primary_key=True),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("projection_sha", sa.Text),
        sa.Column("body", postgresql.JSON),
    )
    op.create_table(
        "versioning_release",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("author_id", sa.Text),
        sa.Column("author_name", sa.Text),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("versioning_release_seq", "versioning_release", ["package_id", "seq"])


def downgrade() -> None:
    op.drop_table("versioning_release")
    op.drop_table("versioning_metadata_blob")
    op.drop_table("versioning_resource_state")
    op.drop_table("versioning_revision")
