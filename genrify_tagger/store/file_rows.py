"""What is known about each file of the library."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, delete, func, select, true, update

from genrify_tagger.store.connect import Database
from genrify_tagger.store.models import FILES
from genrify_tagger.store.records import MISSING, FileRecord, Sighting, utc_now
from genrify_tagger.store.sql import PAGE, as_row, below, end_of, in_batches, upsert

THERE = FILES.c.missing_since.is_(None)
SIGHTING = (FILES.c.stat, FILES.c.status, FILES.c.model, FILES.c.settings_key, FILES.c.missing_since, FILES.c.title)
COLUMNS = FILES.columns.keys()
STATUS = case((THERE, FILES.c.status), else_=MISSING)


class Files(Database):
    """The part of a store that knows files. All paths are absolute `str` from `os.fsdecode`."""

    def files(self, paths: Iterable[str]) -> dict[str, FileRecord]:
        """Return what is known about `paths`; unknown ones are left out, missing ones are not.

        Batches of some hundred paths are quick; the memory needed grows with their number.
        """
        return {record.path: record for batch in in_batches(paths) for record in self._records(FILES.c.path.in_(batch))}

    def sightings(self, paths: Iterable[str]) -> dict[str, Sighting]:
        """Return of the known ones of `paths` what tells whether they are unchanged; much quicker than `files`."""
        found: dict[str, Sighting] = {}
        for batch in in_batches(paths):
            query = select(FILES.c.path, *SIGHTING).where(FILES.c.path.in_(batch))
            with self.read() as connection:
                found |= {row[0]: Sighting(*row[1:]) for row in connection.execute(query)}
        return found

    def save_files(self, records: Iterable[FileRecord]) -> None:
        """Keep `records`, in one transaction, in place of what was known about these paths."""
        rows = [as_row(record, FILES) for record in records]
        if not rows:
            return
        with self.write() as connection:
            connection.execute(upsert(connection, FILES), rows)

    def files_under(self, folder: str | None = None, statuses: Collection[str] | None = None) -> Iterator[FileRecord]:
        """Stream the files below a folder, or that one file, in order of their paths' bytes.

        No transaction is open while the caller works: changes made meanwhile may or may not be seen.

        Parameters
        ----------
        folder : str or None
            A folder or a file; None for all.
        statuses : collection of str or None
            Which statuses; "missing" stands for files that are no longer there. None for all but those.
        """
        wanted = THERE if statuses is None else STATUS.in_(sorted(statuses))
        if folder is not None:
            yield from self._records(and_(FILES.c.path == folder, wanted))
        place = _within(folder)
        while page := self._records(and_(place, wanted), limit=PAGE):
            yield from page
            place = _rest_within(folder, page[-1].path)

    def paths_under(self, folder: str | None = None) -> Iterator[str]:
        """Stream the paths of the files below a folder that are not known to be missing, in order of their bytes."""
        place = _within(folder)
        while page := self._paths(and_(place, THERE)):
            yield from page
            place = _rest_within(folder, page[-1])

    def find_paths_by_audio_key(self, audio_key: str) -> list[str]:
        """Return the paths at which this audio was seen, missing files included."""
        with self.read() as connection:
            return list(
                connection.execute(
                    select(FILES.c.path).where(FILES.c.audio_key == audio_key).order_by(FILES.c.path)
                ).scalars()
            )

    def number_under(self, folder: str) -> int:
        """Return how many files below a folder are not known to be missing."""
        with self.read() as connection:
            query = select(func.count()).select_from(FILES).where(_within(folder), THERE)
            return int(connection.execute(query).scalar_one())

    def counts(self, folder: str | None = None) -> dict[str, int]:
        """Return the number of files by status, below a folder or in all; "missing" for those no longer there."""
        query = select(STATUS, func.count()).where(_within(folder)).group_by(STATUS).order_by(STATUS)
        with self.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def failures(self, folder: str | None = None) -> dict[str, int]:
        """Return the errors of failed files and how many files share each, most frequent first."""
        error = func.coalesce(FILES.c.error, FILES.c.reason, "")
        query = (
            select(error, func.count())
            .where(_within(folder), THERE, FILES.c.status == "failed")
            .group_by(error)
            .order_by(func.count().desc(), error)
        )
        with self.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def mark_missing(self, paths: Iterable[str], *, when: datetime | None = None) -> int:
        """Remember that these files are no longer there (those marked before keep their time); return how many."""
        return self._mark(paths, THERE, when or utc_now())

    def mark_found(self, paths: Iterable[str]) -> int:
        """Take back `mark_missing` for files that came back as they were; return how many."""
        return self._mark(paths, ~THERE, None)

    def forget(self, paths: Iterable[str]) -> int:
        """Drop what is known about these files, but not their analyses or journal; return how many were known."""
        with self.write() as connection:
            return sum(
                connection.execute(delete(FILES).where(FILES.c.path.in_(part))).rowcount for part in in_batches(paths)
            )

    def _mark(self, paths: Iterable[str], condition: ColumnElement[bool], missing_since: datetime | None) -> int:
        mark = update(FILES).where(condition).values(missing_since=missing_since)
        with self.write() as connection:
            return sum(connection.execute(mark.where(FILES.c.path.in_(part))).rowcount for part in in_batches(paths))

    def _records(self, condition: ColumnElement[bool], limit: int | None = None) -> list[FileRecord]:
        with self.read() as connection:
            rows = connection.execute(select(FILES).where(condition).order_by(FILES.c.path).limit(limit))
            # a third quicker than rows as mappings
            return [FileRecord(**dict(zip(COLUMNS, row, strict=True))) for row in rows]

    def _paths(self, condition: ColumnElement[bool]) -> list[str]:
        with self.read() as connection:
            query = select(FILES.c.path).where(condition).order_by(FILES.c.path).limit(PAGE)
            return list(connection.execute(query).scalars())


def _within(folder: str | None) -> ColumnElement[bool]:
    return true() if folder is None else below(FILES.c.path, folder)


def _rest_within(folder: str | None, last: str) -> ColumnElement[bool]:
    """Return the condition for what comes after `last`; of two lower bounds SQLite might walk from the lower."""
    later = FILES.c.path > last
    return later if folder is None else and_(later, FILES.c.path < end_of(folder))
