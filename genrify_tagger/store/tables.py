"""The tables: files, analyses, runs, the journal of changes, claims on files, learned vocabularies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, Double, ForeignKey, Index, LargeBinary, MetaData, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from genrify_tagger.files import FileStat
from genrify_tagger.store.column_types import PathType, PlainString, PlainText, StatType, TupleType, UtcDateTime

PENDING = text("state = 'pending'")


class Base(DeclarativeBase):
    """Base of the tables; every constraint has a name, so that a migration can drop it."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {str: PlainString}


class File(Base):
    """The last known state of a file."""

    __tablename__ = "files"

    path: Mapped[str] = mapped_column(PathType, primary_key=True)
    status: Mapped[str]
    stat: Mapped[FileStat | None] = mapped_column(StatType, index=True)
    audio_key: Mapped[str | None] = mapped_column(index=True)
    reason: Mapped[str | None] = mapped_column(PlainText)
    error: Mapped[str | None] = mapped_column(PlainText)
    genres: Mapped[tuple[str, ...]] = mapped_column(TupleType)
    confidence: Mapped[float | None] = mapped_column(Double)
    scores: Mapped[dict[str, float]] = mapped_column(JSON)
    before: Mapped[tuple[str, ...]] = mapped_column(TupleType)
    after: Mapped[tuple[str, ...]] = mapped_column(TupleType)
    vocabulary: Mapped[str | None]
    model: Mapped[str | None]
    settings_key: Mapped[str | None]
    duration: Mapped[float | None] = mapped_column(Double)
    container: Mapped[str | None]
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    missing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    title: Mapped[str | None] = mapped_column(PlainText)
    artist: Mapped[str | None] = mapped_column(PlainText)
    album: Mapped[str | None] = mapped_column(PlainText)
    artist_key: Mapped[str | None] = mapped_column(PlainText, index=True)
    album_key: Mapped[str | None] = mapped_column(PlainText, index=True)
    margin: Mapped[float | None] = mapped_column(Double, doc="see `FileRecord.margin`; stored to sort by it")


class StoredAnalysis(Base):
    """The analysis of one song: little-endian arrays, float32, but float16 for tags, embedding and spread."""

    __tablename__ = "analyses"

    audio_key: Mapped[str] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    front_end: Mapped[str] = mapped_column(primary_key=True)
    duration: Mapped[float] = mapped_column(Double)
    intervals: Mapped[bytes] = mapped_column(LargeBinary)
    levels: Mapped[bytes] = mapped_column(LargeBinary)
    layout: Mapped[Any] = mapped_column(JSON, doc="[[name, number of labels], ...] in order of `outputs`")
    outputs: Mapped[bytes] = mapped_column(LargeBinary)
    tags: Mapped[bytes] = mapped_column(LargeBinary)
    embedding: Mapped[bytes] = mapped_column(LargeBinary)
    spread: Mapped[bytes | None] = mapped_column(LargeBinary, doc="None if stored before revision 0003")


class Run(Base):
    """A run of a command."""

    __tablename__ = "runs"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    command: Mapped[str] = mapped_column(index=True)
    arguments: Mapped[tuple[str, ...]] = mapped_column(TupleType)
    model: Mapped[str | None]
    owner: Mapped[str] = mapped_column(PlainText, doc="what `process_identity.this_process` returned")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str]
    counts: Mapped[dict[str, int]] = mapped_column(JSON)


class Change(Base):
    """A change of one field of one file; ids are never reused, because users and other changes refer to them."""

    __tablename__ = "changes"
    __table_args__ = (
        Index("ix_changes_pending", "id", sqlite_where=PENDING, postgresql_where=PENDING),
        # Of two indexes on one column each, SQLite may take that of the song, which can have thousands of paths.
        Index("ix_changes_audio_key_path", "audio_key", "path"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    run: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    path: Mapped[str] = mapped_column(PathType, index=True)
    field: Mapped[str] = mapped_column(PlainText)
    before: Mapped[bytes | None] = mapped_column(LargeBinary)
    after: Mapped[bytes | None] = mapped_column(LargeBinary)
    before_genres: Mapped[tuple[str, ...] | None] = mapped_column(TupleType)
    after_genres: Mapped[tuple[str, ...] | None] = mapped_column(TupleType)
    audio_key: Mapped[str | None]
    stat_before: Mapped[FileStat | None] = mapped_column(StatType)
    stat_after: Mapped[FileStat | None] = mapped_column(StatType)
    origin: Mapped[str]
    state: Mapped[str]
    undoes: Mapped[int | None] = mapped_column(ForeignKey("changes.id"))
    undone_by: Mapped[int | None] = mapped_column(ForeignKey("changes.id"))
    backup: Mapped[str | None] = mapped_column(PathType)
    error: Mapped[str | None] = mapped_column(PlainText)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_at: Mapped[str | None] = mapped_column(
        PathType, index=True, doc="the path at that time, if the song has moved"
    )


class Process(Base):
    """A process that claims files, and when it last gave a sign of life, by the database server's clock."""

    __tablename__ = "processes"

    owner: Mapped[str] = mapped_column(PlainText, primary_key=True, doc="as in `runs`")
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Claim(Base):
    """A file that a process is working on."""

    __tablename__ = "claims"

    path: Mapped[str] = mapped_column(PathType, primary_key=True)
    owner: Mapped[str] = mapped_column(PlainText, index=True)


class Mount(Base):
    """A mount point of the library: while nothing is mounted there, files below it do not count as gone."""

    __tablename__ = "mounts"

    point: Mapped[str] = mapped_column(PathType, primary_key=True)


class StoredVocabularyRow(Base):
    """A vocabulary learned from the library, as bytes."""

    __tablename__ = "vocabularies"

    name: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    in_use: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


def _table(model: type[Base]) -> Table:
    table = model.__table__
    assert isinstance(table, Table)
    return table


# The store uses SQLAlchemy Core: a row costs a tenth of an ORM object.
FILES = _table(File)
ANALYSES = _table(StoredAnalysis)
RUNS = _table(Run)
CHANGES = _table(Change)
PROCESSES = _table(Process)
CLAIMS = _table(Claim)
MOUNTS = _table(Mount)
VOCABULARIES = _table(StoredVocabularyRow)
