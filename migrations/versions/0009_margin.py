"""By how much the likeliest label of a file is above the next one, to sort the unsure ones by it.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The highest score less the next one, which is 0 if there is none; NULL if there is none at all, or only 0.
FILL = """
UPDATE files SET margin = (
    SELECT nullif(max(score), 0) - coalesce(max(CASE WHEN rank = 2 THEN score END), 0)
    FROM (
        SELECT CAST(value AS DOUBLE PRECISION) AS score,
            row_number() OVER (ORDER BY CAST(value AS DOUBLE PRECISION) DESC) AS rank
        FROM {read}(files.scores)
    ) AS ranked
)
"""


def upgrade() -> None:
    """Add the column, fill it from the scores, index it."""
    op.add_column("files", sa.Column("margin", sa.Double()))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(FILL.format(read="json_each" if is_sqlite else "json_each_text"))
    op.execute(
        "CREATE INDEX ix_files_by_margin ON files (coalesce(margin, 2.0), status, missing_since) "
        "WHERE missing_since IS NULL"
    )
