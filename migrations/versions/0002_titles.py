"""Title, artist and album of files, so that these can be searched.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty: the next scan reads them."""
    for name in ("title", "artist", "album"):
        op.add_column("files", sa.Column(name, sa.Text()))
