"""The first tables: files, analyses, runs and the journal of changes.

Revision ID: 0001
Revises: -
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """Create all tables."""
    _files()
    _analyses()
    _runs()
    _changes()


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("stat", sa.Text()),
        sa.Column("audio_key", sa.String()),
        sa.Column("reason", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("genres", sa.JSON(), nullable=False),
        sa.Column("confidence", sa.Double()),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("vocabulary", sa.String()),
        sa.Column("model", sa.String()),
        sa.Column("settings_key", sa.String()),
        sa.Column("duration", sa.Double()),
        sa.Column("container", sa.String()),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("missing_since", TIME),
        sa.PrimaryKeyConstraint("path", name="pk_files"),
    )
    op.create_index("ix_files_audio_key", "files", ["audio_key"])


def _analyses() -> None:
    op.create_table(
        "analyses",
        sa.Column("audio_key", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("front_end", sa.String(), nullable=False),
        sa.Column("duration", sa.Double(), nullable=False),
        sa.Column("intervals", sa.LargeBinary(), nullable=False),
        sa.Column("levels", sa.LargeBinary(), nullable=False),
        sa.Column("layout", sa.JSON(), nullable=False),
        sa.Column("outputs", sa.LargeBinary(), nullable=False),
        sa.Column("tags", sa.LargeBinary(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("audio_key", "model", "front_end", name="pk_analyses"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("command", sa.String(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("model", sa.String()),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("counts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_runs_command", "runs", ["command"])


def _changes() -> None:
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("before", sa.LargeBinary()),
        sa.Column("after", sa.LargeBinary()),
        sa.Column("before_genres", sa.JSON()),
        sa.Column("after_genres", sa.JSON()),
        sa.Column("audio_key", sa.String()),
        sa.Column("stat_before", sa.Text()),
        sa.Column("stat_after", sa.Text()),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("undoes", sa.Integer()),
        sa.Column("undone_by", sa.Integer()),
        sa.Column("backup", sa.LargeBinary()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["run"], ["runs.id"], name="fk_changes_run"),
        sa.ForeignKeyConstraint(["undoes"], ["changes.id"], name="fk_changes_undoes"),
        sa.ForeignKeyConstraint(["undone_by"], ["changes.id"], name="fk_changes_undone_by"),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_changes_run", "changes", ["run"])
    op.create_index("ix_changes_path", "changes", ["path"])
    op.create_index("ix_changes_audio_key", "changes", ["audio_key"])
    op.create_index("ix_changes_pending", "changes", ["id"], sqlite_where=PENDING, postgresql_where=PENDING)
