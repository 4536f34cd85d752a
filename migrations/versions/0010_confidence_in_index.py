"""On a server, files are counted by confidence from the index alone, which needs the plain column there.

Revision ID: 0010
Revises: 0009
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index; SQLite reads expressions from it as it is."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.drop_index("ix_files_by_confidence", "files")
    op.execute(
        "CREATE INDEX ix_files_by_confidence ON files (coalesce(confidence, -1.0), status, missing_since) "
        "INCLUDE (confidence) WHERE missing_since IS NULL"
    )
