"""Songs that have moved: where a song was seen, and taking its record and its journal to a new path."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, exists, func, insert, or_, select, update

from genrify_tagger.files import FileStat
from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.sql import below, in_batches
from genrify_tagger.store.tables import CHANGES, FILES, MOUNTS


@dataclass(frozen=True, slots=True)
class Location:
    """A path at which a song was seen, and the fingerprint that its file had there."""

    path: str
    stat: FileStat | None


@dataclass(frozen=True, slots=True)
class Move:
    """A song that has moved from `old` to `new`; `audio_key` is None if the audio was never read."""

    old: str
    new: str
    audio_key: str | None


# built once: that takes longer than to run it
_IS_KNOWN = select(
    or_(
        exists().where(FILES.c.audio_key == bindparam("key")),
        exists().where(CHANGES.c.audio_key == bindparam("key")),
    )
)


class Moves(Database):
    """Paths of songs across all tables, and mount points."""

    @repeatable
    def knows_song(self, audio_key: str) -> bool:
        """Return whether a song was seen at any path, or has changes in the journal."""
        with self.read() as connection:
            return bool(connection.execute(_IS_KNOWN, {"key": audio_key}).scalar_one())

    @repeatable
    def locations(self, audio_key: str) -> list[Location]:
        """Return where a song was seen: paths of files, including missing ones, and of changes."""
        rows = select(FILES.c.path, FILES.c.stat).where(FILES.c.audio_key == audio_key)
        newest = select(func.max(CHANGES.c.id)).where(CHANGES.c.audio_key == audio_key).group_by(CHANGES.c.path)
        changes = select(CHANGES.c.path, CHANGES.c.stat_after).where(CHANGES.c.id.in_(newest))
        with self.read() as connection:
            found = {row[0]: Location(*row) for row in connection.execute(changes)}
            found |= {row[0]: Location(*row) for row in connection.execute(rows)}
        return list(found.values())

    @repeatable
    def copies_without_changes(self, audio_key: str, limit: int) -> list[str]:
        """Return paths of a song, without those marked missing, at which the journal has no changes of it."""
        changes = exists().where(CHANGES.c.audio_key == audio_key, CHANGES.c.path == FILES.c.path)
        query = select(FILES.c.path).where(FILES.c.audio_key == audio_key, FILES.c.missing_since.is_(None), ~changes)
        with self.read() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    @repeatable
    def files_like(self, stats: Iterable[FileStat]) -> list[tuple[Location, str | None]]:
        """Return the files, including missing ones, with one of these fingerprints, and their audio keys."""
        found = []
        for batch in in_batches(stats):
            query = select(FILES.c.path, FILES.c.stat, FILES.c.audio_key).where(FILES.c.stat.in_(batch))
            with self.read() as connection:
                found += [(Location(row[0], row[1]), row[2]) for row in connection.execute(query)]
        return found

    @repeatable
    def has_changes(self, path: str, audio_key: str) -> bool:
        """Return whether the journal has changes of a song at a path."""
        query = select(CHANGES.c.id).where(CHANGES.c.path == path, CHANGES.c.audio_key == audio_key).limit(1)
        with self.read() as connection:
            return connection.execute(query).first() is not None

    @repeatable
    def move_songs(self, moves: Iterable[Move]) -> None:
        """Take the record and the journal of songs to their new paths, in one transaction.

        A record that exists at a new path already is kept. The path at which a change was made stays in `made_at`.
        """
        with self.write(durable=True) as connection:
            for move in moves:
                _move_record(connection, move)
                _move_changes(connection, move)

    @repeatable
    def paths_moved_from(self, place: str, limit: int = 100) -> list[str]:
        """Return the present paths of songs that were changed at or below `place` and have moved elsewhere since."""
        query = (
            select(CHANGES.c.path)
            .where(or_(CHANGES.c.made_at == place, below(CHANGES.c.made_at, place)))
            .where(CHANGES.c.path != place, ~below(CHANGES.c.path, place))
            .distinct()
            .limit(limit)
        )
        with self.read() as connection:
            return sorted(connection.execute(query).scalars())

    @repeatable
    def known_mounts(self) -> list[str]:
        """Return the mount points at which the library's files were seen."""
        with self.read() as connection:
            return sorted(connection.execute(select(MOUNTS.c.point)).scalars())

    @repeatable
    def remember_mounts(self, points: Iterable[str]) -> None:
        """Add to the known mount points."""
        new = set(points) - set(self.known_mounts())
        if new:
            with self.write() as connection:
                present = set(connection.execute(select(MOUNTS.c.point)).scalars())
                rows = [{"point": point} for point in sorted(new - present)]
                if rows:
                    connection.execute(insert(MOUNTS), rows)


def _move_record(connection: Connection, move: Move) -> None:
    if connection.execute(select(FILES.c.path).where(FILES.c.path == move.new)).first() is not None:
        connection.execute(delete(FILES).where(FILES.c.path == move.old, FILES.c.audio_key == move.audio_key))
    else:
        record = update(FILES).where(FILES.c.path == move.old)
        if move.audio_key is not None:
            record = record.where(FILES.c.audio_key == move.audio_key)
        connection.execute(record.values(path=move.new, missing_since=None))


def _move_changes(connection: Connection, move: Move) -> None:
    """Move the changes of a song, except one in progress: only its process knows the file's path."""
    changes = update(CHANGES).where(CHANGES.c.path == move.old, CHANGES.c.state != "pending")
    if move.audio_key is not None:
        changes = changes.where(CHANGES.c.audio_key == move.audio_key)
    connection.execute(changes.values(path=move.new, made_at=func.coalesce(CHANGES.c.made_at, CHANGES.c.path)))
