"""The journal: every change of a user's file, recorded before it is made, so that it can be undone."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Update,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from genrify_tagger.errors import StoreError
from genrify_tagger.files import FileStat
from genrify_tagger.process_identity import SILENCE_LIMIT
from genrify_tagger.store.changes_in_progress import IN_PROGRESS, is_gone, lock_path, own_in_progress, refuse_lost_claim
from genrify_tagger.store.claims import server_time
from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.records import DONE, PENDING, ChangeRecord, ObservedTag, utc_now
from genrify_tagger.store.sql import PAGE, below, in_batches
from genrify_tagger.store.tables import CHANGES

ID = CHANGES.c.id

# built once: that takes longer than to run it
_BEGIN = insert(CHANGES).returning(ID)
_FINISH = update(CHANGES).where(CHANGES.c.id == bindparam("change"))
_RESOLVE = _FINISH.where(CHANGES.c.state == PENDING)
_UNDONE_BY = select(CHANGES.c.undoes).where(CHANGES.c.id == bindparam("change"))


class Journal(Database):
    """The changes table. Everything is on disk before a method returns."""

    def begin_change(
        self,
        *,
        run: int,
        path: str,
        field: str,
        before: bytes | None,
        after: bytes | None,
        origin: str,
        before_genres: tuple[str, ...] | None = None,
        after_genres: tuple[str, ...] | None = None,
        audio_key: str | None = None,
        stat_before: FileStat | None = None,
        undoes: int | None = None,
        backup: str | None = None,
        claimed_by: str | None = None,
    ) -> int:
        """Record a change that is about to be made and return its id; see `ChangeRecord` for the parameters.

        Parameters
        ----------
        claimed_by : str or None
            The process that must still have the claim on the file, if it claimed it.

        Raises
        ------
        ChangeInProgressError
            If another process is changing the file, or was when it ended.
        ChangedMeanwhileError
            If another process has taken over the claim.
        """
        row = {
            "run": run,
            "path": path,
            "field": field,
            "before": before,
            "after": after,
            "before_genres": before_genres,
            "after_genres": after_genres,
            "audio_key": audio_key,
            "stat_before": stat_before,
            "origin": origin,
            "state": PENDING,
            "undoes": undoes,
            "backup": backup,
            "created_at": utc_now(),
        }
        return self._insert(row, claimed_by)

    @repeatable
    def _insert(self, row: dict[str, object], claimed_by: str | None) -> int:
        path = str(row["path"])
        with self.write(durable=True, shared=True) as connection:
            lock_path(connection, path)
            for begun in own_in_progress(connection, path):
                if (begun["run"], begun["created_at"]) == (row["run"], row["created_at"]):
                    return int(begun["id"])  # by this call, before the connection was lost
            if claimed_by is not None:
                refuse_lost_claim(connection, path, claimed_by)
            return int(connection.execute(_BEGIN, row).scalar_one())

    @repeatable
    def finish_change(
        self,
        change: int,
        state: str,
        *,
        stat_after: FileStat | None = None,
        error: str | None = None,
        found: ObservedTag | None = None,
    ) -> None:
        """Record that a change is "done" or has "failed"; a done undo marks the change it reverts as undone.

        Parameters
        ----------
        change : int
        state : str
        stat_after : FileStat or None
            The file's fingerprint after the write.
        error : str or None
            Why it failed.
        found : ObservedTag or None
            What the file holds now, in place of what was announced: for a genre that another program wrote.

        Raises
        ------
        StoreError
            If there is no such change.
        """
        values: dict[str, object] = {"state": state, "stat_after": stat_after, "error": error}
        if found is not None:
            values |= {"after": found.raw, "after_genres": found.genres, "audio_key": found.audio_key}
        if not self._end_change(_FINISH, change, values):
            raise StoreError(f"the journal has no change {change}")

    @repeatable
    def resolve_change(
        self, change: int, state: str, *, stat_after: FileStat | None = None, error: str | None = None
    ) -> bool:
        """Record how a change of a killed process ended, as `finish_change`; return False if another one did so."""
        return self._end_change(_RESOLVE, change, {"state": state, "stat_after": stat_after, "error": error})

    def _end_change(self, statement: Update, change: int, values: dict[str, object]) -> bool:
        """Update a change by `_FINISH` or `_RESOLVE`; return whether there is one to update."""
        with self.write(durable=True, shared=True) as connection:
            if connection.execute(statement, values | {"change": change}).rowcount != 1:
                return False
            if values["state"] == DONE:
                _mark_undone(connection, change)
        return True

    @repeatable
    def pending_changes(self, *, abandoned: bool = True, silence: timedelta = SILENCE_LIMIT) -> list[ChangeRecord]:
        """Return the changes that were begun but not finished, oldest first.

        Parameters
        ----------
        abandoned : bool
            Leave out those of running processes, which are still being made.
        silence : timedelta
            After which a process on another host does not count as running.
        """
        with self.read() as connection:
            now = server_time(connection)
            rows = connection.execute(IN_PROGRESS).mappings().all()
        return [_record(row) for row in rows if not abandoned or is_gone(row, now, silence)]

    def change(self, change: int) -> ChangeRecord | None:
        """Return a change by its id."""
        found = self._changes([change])
        return found[0] if found else None

    def last_change(
        self, path: str, audio_key: str | None = None, *, field: str | None = None, before: int | None = None
    ) -> ChangeRecord | None:
        """Return the last finished change of the song at a path.

        Parameters
        ----------
        path : str
        audio_key : str or None
            Only changes of this song: the path may have belonged to another one.
        field : str or None
            Only changes of this field.
        before : int or None
            Only changes older than the one of this id.
        """
        conditions = [CHANGES.c.path == path, CHANGES.c.state == DONE]
        if audio_key is not None:
            conditions.append(CHANGES.c.audio_key == audio_key)
        if field is not None:
            conditions.append(CHANGES.c.field == field)
        if before is not None:
            conditions.append(CHANGES.c.id < before)
        return next(self._newest_first(*conditions, limit=1), None)

    def changes(
        self,
        *,
        run: int | None = None,
        path: str | None = None,
        under: str | None = None,
        audio_key: str | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> Iterator[ChangeRecord]:
        """Stream the changes that exist now, newest first.

        Parameters
        ----------
        run : int or None
            Only changes of this run.
        path : str or None
            Only changes of the file at this path.
        under : str or None
            Only changes of this file or of files in this folder or deeper.
        audio_key : str or None
            Only changes of this song, wherever it is.
        before : int or None
            Only changes older than the one of this id.
        limit : int or None
            The maximum number.
        """
        conditions: list[ColumnElement[bool]] = []
        if before is not None:
            conditions.append(CHANGES.c.id < before)
        if run is not None:
            conditions.append(CHANGES.c.run == run)
        if path is not None:
            conditions.append(CHANGES.c.path == path)
        if audio_key is not None:
            conditions.append(CHANGES.c.audio_key == audio_key)
        if under is not None:
            conditions.append(or_(CHANGES.c.path == under, below(CHANGES.c.path, under)))
        yield from self._newest_first(*conditions, limit=limit)

    @repeatable
    def written_genres(self, field: str, *, but_not: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Return the genres that the last finished change of each path wrote, if it is of no origin in `but_not`."""
        newest = (
            select(func.max(ID)).where(CHANGES.c.state == DONE, CHANGES.c.field == field, CHANGES.c.origin != "tidy")
        ).group_by(CHANGES.c.path)
        query = select(CHANGES.c.path, CHANGES.c.after_genres).where(
            ID.in_(newest), CHANGES.c.origin.not_in(sorted(but_not))
        )
        with self.read() as connection:
            return {path: genres or () for path, genres in connection.execute(query)}

    def change_counts_by_run(self) -> dict[int, tuple[int, int]]:
        """Return, by run, the number of its done changes, and how many of these were undone."""
        done = CHANGES.c.state == DONE
        query = select(CHANGES.c.run, func.count(), func.count(CHANGES.c.undone_by)).where(done).group_by(CHANGES.c.run)
        with self.read() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}

    def _newest_first(self, *conditions: ColumnElement[bool], limit: int | None = None) -> Iterator[ChangeRecord]:
        ids = self._ids(select(ID).where(*conditions).order_by(ID.desc()).limit(limit))
        for batch in in_batches(ids, PAGE):
            yield from self._changes(batch)

    @repeatable
    def _ids(self, query: Select[Any]) -> array[int]:
        with self.read() as connection:
            return array("q", connection.execute(query).scalars())  # 8 bytes each: the whole journal fits in memory

    @repeatable
    def _changes(self, ids: list[int]) -> list[ChangeRecord]:
        with self.read() as connection:
            rows = connection.execute(select(CHANGES).where(ID.in_(ids)).order_by(ID.desc())).mappings()
            return [ChangeRecord(**row) for row in rows]


def _record(row: RowMapping) -> ChangeRecord:
    return ChangeRecord(**{column.name: row[column.name] for column in CHANGES.columns})


def _mark_undone(connection: Connection, change: int) -> None:
    """Update `undone_by`: the change that `change` reverts is undone, and what that one had undone stands again.

    Always from newer to older changes: others may do so at the same time.
    """
    undoing, fallen = change, _undone_by(connection, change)
    while fallen is not None:
        connection.execute(update(CHANGES).where(CHANGES.c.id == fallen).values(undone_by=undoing))
        standing = _undone_by(connection, fallen)
        if standing is None:
            return
        connection.execute(update(CHANGES).where(CHANGES.c.id == standing).values(undone_by=None))
        undoing, fallen = standing, _undone_by(connection, standing)


def _undone_by(connection: Connection, change: int) -> int | None:
    """Return the change that `change` reverts, if any."""
    found = connection.execute(_UNDONE_BY, {"change": change}).scalar()
    return None if found is None else int(found)
