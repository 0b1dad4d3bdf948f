"""Copies of objects that an external LFS server keeps for each dataset.

Revision ID: external_storage_0004
Revises: external_storage_0003
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "external_storage_0004"
down_revision = "external_storage_0003"
branch_labels = None
depends_on = None

OBJECT = "external_storage_object"
LINK = "external_storage_link"


def upgrade() -> None:
    op.add_column(OBJECT, sa.Column("hashed", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column(LINK, sa.Column("own_key", sa.Text))
    op.add_column(LINK, sa.Column("unverified_size", sa.BigInteger))
    unverified = "unverified_size IS NULL OR own_key IS NOT NULL"
    op.create_check_constraint("external_storage_link_unverified", LINK, unverified)


def downgrade() -> None:
    # The older code would take what nobody has hashed for what was.
    op.execute(f"DELETE FROM {LINK} WHERE unverified_size IS NOT NULL")  # noqa: S608 - a constant
    op.execute(f"DELETE FROM {OBJECT} WHERE NOT hashed")  # noqa: S608 - a constant
    op.drop_constraint("external_storage_link_unverified", LINK)
    op.drop_column(LINK, "unverified_size")
    op.drop_column(LINK, "own_key")
    op.drop_column(OBJECT, "hashed")
