"""One index finds a song's changes at a path, however many paths the song has.

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Replace the index on the audio key by one on audio key and path."""
    op.drop_index("ix_changes_audio_key", "changes")
    op.create_index("ix_changes_audio_key_path", "changes", ["audio_key", "path"])
