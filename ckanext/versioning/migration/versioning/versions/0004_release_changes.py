"""What releases were before they were changed or deleted, and their DOIs.

Revision ID: versioning_0004
Revises: versioning_0001
Create Date: 2026-11-21
"""

import sqlalchemy as sa
from alembic import op

revision = "versioning_0004"
down_revision = "versioning_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("versioning_release", sa.Column("doi", sa.Text))
    op.create_table(
        "versioning_release_change",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("package_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("doi", sa.Text),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("author_id", sa.Text),
        sa.Column("author_name", sa.Text),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("versioning_release_change_name", "versioning_release_change", ["package_id", "name"])


def downgrade() -> None:
    op.drop_table("versioning_release_change")
    op.drop_column("versioning_release", "doi")
