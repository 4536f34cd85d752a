"""Which artist and album a song belongs to, and vocabularies learned from the library.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty, which the next scan fills, and the table."""
    for name in ("artist_key", "album_key"):
        op.add_column("files", sa.Column(name, sa.Text()))
        op.create_index(f"ix_files_{name}", "files", [name])
    op.create_table(
        "vocabularies",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("in_use", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vocabularies"),
    )
