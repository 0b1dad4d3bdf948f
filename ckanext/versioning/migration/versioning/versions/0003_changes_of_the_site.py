"""Revisions of all datasets in one order; a resource without its dataset.

Revision ID: versioning_0003
Revises: versioning_0001
Create Date: 2026-11-21
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "versioning_0003"
down_revision = "versioning_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("versioning_resource_state_resource", "versioning_resource_state", ["resource_id"])
    txid = sa.Column("txid", sa.BigInteger, nullable=False, server_default=sa.text("txid_current()"))
    op.add_column("versioning_revision", txid)
    op.add_column("versioning_revision", sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False))
    op.create_index("versioning_revision_number", "versioning_revision", ["txid", "number"], unique=True)
    feed = op.create_table(
        "versioning_feed",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("table_oid", sa.BigInteger, nullable=False),
        sa.Column("txid", sa.BigInteger, nullable=False, server_default=sa.text("txid_current()")),
    )
    oid = sa.literal_column("'versioning_feed'::regclass::oid::bigint")
    op.execute(sa.insert(feed).values(id=uuid4().hex, table_oid=oid))


def downgrade() -> None:
    op.drop_table("versioning_feed")
    op.drop_index("versioning_revision_number", "versioning_revision")
    op.drop_column("versioning_revision", "number")
    op.drop_column("versioning_revision", "txid")
    op.drop_index("versioning_resource_state_resource", "versioning_resource_state")
