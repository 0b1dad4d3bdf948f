"""Files of CKAN's own FileStore that revisions refer to.

Revision ID: versioning_0002
Revises: versioning_0001
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "versioning_0002"
down_revision = "versioning_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "versioning_classic_file",
        sa.Column("package_id", sa.Text, primary_key=True),
        sa.Column("resource_id", sa.Text, primary_key=True),
        sa.Column("from_seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("oid", sa.Text),
    )
    op.create_index(
        "versioning_classic_file_waiting",
        "versioning_classic_file",
        ["package_id", "resource_id"],
        postgresql_where=sa.text("oid IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("versioning_classic_file")
