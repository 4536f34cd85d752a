"""The files table: the last known state of each file of the library."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, case, delete, func, or_, select, true, update

from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.records import MISSING, FileRecord, GenreRow, Sighting, utc_now
from genrify_tagger.store.sort_keys import AFTER, INDEXED, PRESENT
from genrify_tagger.store.sql import PAGE, as_row, below, end_of, in_batches, upsert
from genrify_tagger.store.tables import FILES

SIGHTING = (
    FILES.c.stat,
    FILES.c.status,
    FILES.c.reason,
    FILES.c.model,
    FILES.c.settings_key,
    FILES.c.missing_since,
    FILES.c.title,
)
COLUMNS = tuple(FileRecord.__dataclass_fields__)
_RECORDS = select(*(FILES.c[name] for name in COLUMNS))
STATUS = case((PRESENT, FILES.c.status), else_=MISSING)


# built once: that takes longer than to run it
_OF_COMPANY = (
    select(*(FILES.c[name] for name in GenreRow.__dataclass_fields__))
    .where(
        PRESENT,
        or_(
            and_(FILES.c.artist_key == bindparam("artist"), FILES.c.artist_key != ""),
            and_(FILES.c.album_key == bindparam("album"), FILES.c.album_key != ""),
        ),
    )
    .order_by(FILES.c.path)
    .limit(bindparam("most"))
)


class Files(Database):
    """The files table. All paths are absolute `str` from `os.fsdecode`."""

    def files(self, paths: Iterable[str]) -> dict[str, FileRecord]:
        """Return the records of `paths`: unknown ones are left out, missing ones are not."""
        return {record.path: record for batch in in_batches(paths) for record in self._records(FILES.c.path.in_(batch))}

    @repeatable
    def sightings(self, paths: Iterable[str]) -> dict[str, Sighting]:
        """Return, for the known ones of `paths`, the columns that show if they are unchanged; faster than `files`."""
        found: dict[str, Sighting] = {}
        for batch in in_batches(paths):
            query = select(FILES.c.path, *SIGHTING).where(FILES.c.path.in_(batch))
            with self.read() as connection:
                found |= {row[0]: Sighting(*row[1:]) for row in connection.execute(query)}
        return found

    def save_files(self, records: Iterable[FileRecord]) -> None:
        """Insert or replace `records` in one transaction."""
        rows = [as_row(record, FILES) for record in records]
        if rows:
            self._save(rows)

    @repeatable
    def _save(self, rows: list[dict[str, object]]) -> None:
        with self.write(shared=len(rows) == 1) as connection:
            connection.execute(upsert(connection, FILES), rows)

    def files_under(self, folder: str | None = None, statuses: Collection[str] | None = None) -> Iterator[FileRecord]:
        """Stream the files below a folder, or one file, in order of their paths' bytes.

        No transaction stays open between files: concurrent changes may or may not be seen.

        Parameters
        ----------
        folder : str or None
            A folder or a file; None for all.
        statuses : collection of str or None
            Which statuses; "missing" selects files that no longer exist. None for all but those.
        """
        wanted = PRESENT if statuses is None else STATUS.in_(sorted(statuses))
        if folder is not None:
            yield from self._records(and_(FILES.c.path == folder, wanted))
        place = _within(folder)
        while page := self._records(and_(place, wanted), limit=PAGE):
            yield from page
            place = _rest_within(folder, page[-1].path)

    def paths_under(self, folder: str | None = None) -> Iterator[str]:
        """Stream the paths of the files below a folder, without those marked missing, in order of their bytes."""
        place = _within(folder)
        while page := self._paths(and_(place, PRESENT)):
            yield from page
            place = _rest_within(folder, page[-1])

    @repeatable
    def number_under(self, folder: str) -> int:
        """Return the number of files below a folder, without those marked missing."""
        with self.read() as connection:
            # Of all files and of the missing ones each, an index tells the number; not so of all others.
            inside = select(func.count()).select_from(FILES).where(_within(folder))
            missing = inside.where(~PRESENT)
            return int(connection.execute(inside).scalar_one() - connection.execute(missing).scalar_one())

    def paths_with_genres(self, words: Collection[str]) -> list[str]:
        """Return the existing files with any of these words in their genre field, in order of their paths' bytes."""
        written = INDEXED["sqlite"]["genre"] if self.is_sqlite else AFTER
        with self.read() as connection:
            texts = connection.execute(select(written).where(PRESENT).distinct()).scalars()
            wanted = [text for text in texts if not set(words).isdisjoint(json.loads(text))]
        found: list[str] = []
        for batch in in_batches(wanted):
            with self.read() as connection:
                query = select(FILES.c.path).where(PRESENT, written.in_(batch))
                found += connection.execute(query).scalars()
        return sorted(found, key=os.fsencode)

    def genre_rows(self) -> Iterator[GenreRow]:
        """Stream what all files say of their genre, in order of their paths."""
        columns = [FILES.c[name] for name in GenreRow.__dataclass_fields__]
        place: ColumnElement[bool] = true()
        while True:
            query = select(*columns).where(PRESENT, place).order_by(FILES.c.path).limit(PAGE)
            with self.read() as connection:
                rows = [GenreRow(*row) for row in connection.execute(query)]
            yield from rows
            if len(rows) < PAGE:
                return
            place = FILES.c.path > rows[-1].path

    @repeatable
    def genre_rows_of(self, artist_key: str, album_key: str, *, limit: int) -> list[GenreRow]:
        """Return what files of an artist or of an album say of their genre, in order of their paths; "" is none."""
        with self.read() as connection:
            found = connection.execute(_OF_COMPANY, {"artist": artist_key, "album": album_key, "most": limit})
            return [GenreRow(*row) for row in found]

    @repeatable
    def counts(self, folder: str | None = None) -> dict[str, int]:
        """Return the number of files by status, below a folder or in total, missing ones as "missing"."""
        query = select(FILES.c.status, func.count(), func.count(FILES.c.missing_since)).where(_within(folder))
        with self.read() as connection:
            rows = connection.execute(query.group_by(FILES.c.status).order_by(FILES.c.status)).all()
        present = {status: number - missing for status, number, missing in rows if number > missing}
        missing = sum(row[2] for row in rows)
        return present | ({MISSING: missing} if missing else {})

    def failures(self, folder: str | None = None) -> dict[str, int]:
        """Return the number of failed files by error, most frequent first."""
        error = func.coalesce(FILES.c.error, FILES.c.reason, "")
        query = (
            select(error, func.count())
            .where(_within(folder), PRESENT, FILES.c.status == "failed")
            .group_by(error)
            .order_by(func.count().desc(), error)
        )
        with self.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def mark_missing(self, paths: Iterable[str], *, when: datetime | None = None) -> int:
        """Mark files as missing (those marked before keep their time); return how many were marked."""
        return self._mark(paths, PRESENT, when or utc_now())

    def mark_found(self, paths: Iterable[str]) -> int:
        """Undo `mark_missing` for files that have reappeared; return how many there were."""
        return self._mark(paths, ~PRESENT, None)

    def forget(self, paths: Iterable[str]) -> int:
        """Delete the records of files, but not their analyses or journal; return how many there were."""
        with self.write() as connection:
            return sum(
                connection.execute(delete(FILES).where(FILES.c.path.in_(part))).rowcount for part in in_batches(paths)
            )

    @repeatable
    def _mark(self, paths: Iterable[str], condition: ColumnElement[bool], missing_since: datetime | None) -> int:
        mark = update(FILES).where(condition).values(missing_since=missing_since)
        with self.write() as connection:
            return sum(connection.execute(mark.where(FILES.c.path.in_(part))).rowcount for part in in_batches(paths))

    @repeatable
    def _records(self, condition: ColumnElement[bool], limit: int | None = None) -> list[FileRecord]:
        with self.read() as connection:
            rows = connection.execute(_RECORDS.where(condition).order_by(FILES.c.path).limit(limit))
            # a third faster than rows as mappings
            return [FileRecord(**dict(zip(COLUMNS, row, strict=True))) for row in rows]

    @repeatable
    def _paths(self, condition: ColumnElement[bool]) -> list[str]:
        with self.read() as connection:
            query = select(FILES.c.path).where(condition).order_by(FILES.c.path).limit(PAGE)
            return list(connection.execute(query).scalars())


def _within(folder: str | None) -> ColumnElement[bool]:
    return true() if folder is None else below(FILES.c.path, folder)


def _rest_within(folder: str | None, last: str) -> ColumnElement[bool]:
    """Return the condition for paths after `last`, with one lower bound: of two, SQLite might scan from the lower."""
    later = FILES.c.path > last
    return later if folder is None else and_(later, FILES.c.path < end_of(folder))
