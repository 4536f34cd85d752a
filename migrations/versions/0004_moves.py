"""Moved files: the path at which a change was made, mount points, and an index to find a file by its fingerprint.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; earlier changes were made where the journal says."""
    op.add_column("changes", sa.Column("made_at", sa.LargeBinary()))
    op.create_index("ix_changes_made_at", "changes", ["made_at"])
    op.create_index("ix_files_stat", "files", ["stat"])
    op.create_table(
        "mounts",
        sa.Column("point", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("point", name="pk_mounts"),
    )
