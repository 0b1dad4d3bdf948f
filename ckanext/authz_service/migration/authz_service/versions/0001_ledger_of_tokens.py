"""Issued tokens, and since when those of a user prove something.

Revision ID: authz_service_0001
Revises:
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "authz_service_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "authz_service_token",
        sa.Column("jti", sa.Text, primary_key=True),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("audience", sa.Text),
        sa.Column("issued", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True)),
        sa.Column("revoked_by", sa.Text),
        sa.CheckConstraint("cardinality(scopes) > 0", name="authz_service_token_scopes"),
    )
    op.create_index("authz_service_token_user", "authz_service_token", ["user_id", "issued"])
    op.create_index("authz_service_token_expires", "authz_service_token", ["expires"])
    op.create_table(
        "authz_service_user_cutoff",
        sa.Column("user_id", sa.Text, primary_key=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("set_by", sa.Text),
    )


def downgrade() -> None:
    op.drop_table("authz_service_user_cutoff")
    op.drop_table("authz_service_token")
