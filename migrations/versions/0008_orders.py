"""An index for each order of the library, and one for its counts.

Revision ID: 0008
Revises: 0007
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the indexes; their keys are those by which the store sorts."""
    op.create_index("ix_files_status_missing_since_audio_key", "files", ["status", "missing_since", "audio_key"])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    collation = "" if is_sqlite else ' COLLATE "C"'
    keys = {
        name: f"substr(lower(coalesce(nullif({name}, ''), '\uffff'){collation}), 1, 200)"
        for name in ("title", "artist", "album")
    }
    keys |= {name: f"coalesce({name}, -1.0)" for name in ("confidence", "duration")}
    keys["seen"] = "seen_at"
    keys["genre"] = '"after", path' if is_sqlite else "substr(CAST(after AS TEXT), 1, 200)"
    for order, key in keys.items():
        op.execute(
            f"CREATE INDEX ix_files_by_{order} ON files ({key}, status, missing_since) WHERE missing_since IS NULL"
        )
    op.execute("CREATE INDEX ix_files_missing ON files (path) WHERE missing_since IS NOT NULL")
