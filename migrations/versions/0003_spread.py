"""The standard deviation of the embedding over a song's segments, which the genre tree needs.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column, empty: a song whose analysis lacks it is analysed again where the tree decides."""
    op.add_column("analyses", sa.Column("spread", sa.LargeBinary()))
