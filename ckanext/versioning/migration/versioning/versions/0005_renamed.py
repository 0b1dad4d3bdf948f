"""An index of the revisions that gave a dataset another name, so that its former one is found

Revision ID: versioning_0005
Revises: versioning_0001
Create Date: 2026-11-21 19:20:00
"""

from alembic import op

revision = "versioning_0005"
down_revision = "versioning_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX versioning_revision_renamed ON versioning_revision (package_id, seq)"
        " WHERE summary -> 'fields' ? 'name'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX versioning_revision_renamed")
