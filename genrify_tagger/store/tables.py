"""The tables: files, analyses, runs, the journal of changes, claims on files, learned vocabularies."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    text,
)

from genrify_tagger.store.column_types import PathType, PlainString, PlainText, StatType, TupleType, UtcDateTime

_IS_PENDING = text("state = 'pending'")

#: Every constraint has a name, so that a migration can drop it.
METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True)


def _column(name: str, kind: Any, *arguments: Any, **options: Any) -> Column[Any]:
    """Return a column that always has a value."""
    return Column(name, kind, *arguments, nullable=False, **options)


FILES = Table(
    "files",
    METADATA,
    _key("path", PathType),
    _column("status", PlainString),
    Column("stat", StatType, index=True),
    Column("audio_key", PlainString, index=True),
    Column("reason", PlainText),
    Column("error", PlainText),
    _column("genres", TupleType),
    Column("confidence", Double),
    _column("scores", JSON),
    _column("before", TupleType),
    _column("after", TupleType),
    Column("vocabulary", PlainString),
    Column("model", PlainString),
    Column("settings_key", PlainString),
    Column("duration", Double),
    Column("container", PlainString),
    _column("seen_at", UtcDateTime),
    Column("missing_since", UtcDateTime),
    Column("title", PlainText),
    Column("artist", PlainText),
    Column("album", PlainText),
    Column("artist_key", PlainText, index=True),
    Column("album_key", PlainText, index=True),
    Column("margin", Double, doc="see `FileRecord.margin`; stored to sort by it"),
)
"""The last known state of each file."""

ANALYSES = Table(
    "analyses",
    METADATA,
    _key("audio_key", PlainString),
    _key("model", PlainString),
    _key("front_end", PlainString),
    _column("duration", Double),
    _column("intervals", LargeBinary),
    _column("levels", LargeBinary),
    _column("layout", JSON, doc="[[name, number of labels], ...] in order of `outputs`"),
    _column("outputs", LargeBinary),
    _column("tags", LargeBinary),
    _column("embedding", LargeBinary),
    Column("spread", LargeBinary, doc="None if stored before revision 0003"),
)
"""The analysis of each song: little-endian arrays, float32, but float16 for tags, embedding and spread."""

RUNS = Table(
    "runs",
    METADATA,
    _key("id", Integer),
    _column("command", PlainString, index=True),
    _column("arguments", TupleType),
    Column("model", PlainString),
    _column("owner", PlainText, doc="what `process_identity.this_process` returned"),
    _column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    _column("status", PlainString),
    _column("counts", JSON),
    sqlite_autoincrement=True,
)
"""Each run of a command."""

CHANGES = Table(
    "changes",
    METADATA,
    _key("id", Integer),
    _column("run", ForeignKey("runs.id"), index=True),
    _column("path", PathType, index=True),
    _column("field", PlainText),
    Column("before", LargeBinary),
    Column("after", LargeBinary),
    Column("before_genres", TupleType),
    Column("after_genres", TupleType),
    Column("audio_key", PlainString),
    Column("stat_before", StatType),
    Column("stat_after", StatType),
    _column("origin", PlainString),
    _column("state", PlainString),
    Column("undoes", ForeignKey("changes.id")),
    Column("undone_by", ForeignKey("changes.id")),
    Column("backup", PathType),
    Column("error", PlainText),
    _column("created_at", UtcDateTime),
    Column("made_at", PathType, index=True, doc="the path at that time, if the song has moved"),
    Index("ix_changes_pending", "id", sqlite_where=_IS_PENDING, postgresql_where=_IS_PENDING),
    # Of two indexes on one column each, SQLite may take that of the song, which can have thousands of paths.
    Index("ix_changes_audio_key_path", "audio_key", "path"),
    sqlite_autoincrement=True,
)
"""Each change of one field of one file; ids are never reused, because users and other changes refer to them."""

PROCESSES = Table(
    "processes",
    METADATA,
    Column("owner", PlainText, primary_key=True, doc="as in `runs`"),
    _column("seen_at", UtcDateTime),
)
"""The processes that claim files, and when each last gave a sign of life, by the database server's clock."""

CLAIMS = Table("claims", METADATA, _key("path", PathType), _column("owner", PlainText, index=True))
"""The files that processes are working on."""

MOUNTS = Table("mounts", METADATA, _key("point", PathType))
"""Mount points of the library: while nothing is mounted there, files below it do not count as gone."""

VOCABULARIES = Table(
    "vocabularies",
    METADATA,
    _key("name", PlainString),
    _column("content", LargeBinary),
    _column("in_use", Boolean),
    _column("created_at", UtcDateTime),
)
"""The vocabularies learned from the library, as bytes."""
