"""How much each organisation may keep.

Revision ID: external_storage_0003
Revises: external_storage_0002
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "external_storage_0003"
down_revision = "external_storage_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "external_storage_quota",
        sa.Column("owner_org", sa.Text, primary_key=True),
        sa.Column("limit_bytes", sa.BigInteger),
        sa.CheckConstraint("limit_bytes >= 0", name="external_storage_quota_limit"),
    )


def downgrade() -> None:
    op.drop_table("external_storage_quota")
