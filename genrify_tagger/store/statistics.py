"""Numbers behind the page's charts and history: files by genre and confidence, changes by day and by run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Integer, Text, and_, case, cast, distinct, func, or_, select

from genrify_tagger.store.browse import NO_GENRE
from genrify_tagger.store.claims import server_time
from genrify_tagger.store.file_rows import Files
from genrify_tagger.store.records import RunRecord
from genrify_tagger.store.runs import RUN_ROWS, as_run
from genrify_tagger.store.sort_keys import AFTER, PRESENT
from genrify_tagger.store.sql import below
from genrify_tagger.store.tables import ANALYSES, CHANGES, FILES, RUNS

BINS = 20  # of the confidence chart

#: "write": genres were written; "undo": writes were undone; "redo": an undo was undone, so that the writes stand again;
#: "beets": the changes were made inside beets, which alone undoes them; "beets_undo": it undid them.
RunKind = Literal["write", "undo", "redo", "beets", "beets_undo"]


@dataclass(frozen=True)
class Overview:
    """Statistics of the library.

    Attributes
    ----------
    genres : dict of str to int
        Number of files by genre, most frequent first; "" for none.
    confidence : dict of str to list of int
        By status, the number of files by confidence in `BINS` equal steps from 0 to 1.
    """

    genres: dict[str, int]
    confidence: dict[str, list[int]]


class Statistics(Files):
    """Counts of files, changes and analyses."""

    def overview(self) -> Overview:
        """Count existing files by genre and by confidence."""
        genres: Counter[str] = Counter()
        steps: dict[str, list[int]] = {}
        scaled = FILES.c.confidence * BINS
        step = cast(scaled if self.is_sqlite else func.floor(scaled), Integer)
        query = select(AFTER, FILES.c.status, step, func.count()).where(PRESENT).group_by(AFTER, FILES.c.status, step)
        with self.read() as connection:
            for text, status, number, count in connection.execute(query):
                genres.update(dict.fromkeys(json.loads(text) or [NO_GENRE], count))
                if number is not None:
                    steps.setdefault(status, [0] * BINS)[max(0, min(number, BINS - 1))] += count
        return Overview(dict(genres.most_common()), steps)

    def changes_by_day(self, since: datetime) -> dict[str, dict[str, int]]:
        """Return the number of finished changes by day (ISO, UTC) and origin."""
        day = cast(func.date(CHANGES.c.created_at), Text)
        query = (
            select(day, CHANGES.c.origin, func.count())
            .where(CHANGES.c.state == "done", CHANGES.c.created_at >= since)
            .group_by(day, CHANGES.c.origin)
            .order_by(day)
        )
        found: dict[str, dict[str, int]] = {}
        with self.read() as connection:
            for when, origin, count in connection.execute(query):
                found.setdefault(str(when), {})[origin] = count
        return found

    def changing_runs(self, *, before: int | None = None, limit: int = 50) -> list[tuple[RunRecord, int, int]]:
        """Return runs that changed files, newest first, with their number of changes and of undone changes."""
        done = CHANGES.c.state == "done"
        counts = (
            select(CHANGES.c.run, func.count().label("made"), func.count(CHANGES.c.undone_by).label("undone"))
            .where(done)
            .group_by(CHANGES.c.run)
            .order_by(CHANGES.c.run.desc())
            .limit(limit)
        )
        if before is not None:
            counts = counts.where(CHANGES.c.run < before)
        by_run = counts.cte("by_run")
        query = (
            RUN_ROWS.add_columns(by_run.c.made, by_run.c.undone)
            .join(by_run, RUNS.c.id == by_run.c.run)
            .order_by(RUNS.c.id.desc())
        )
        found = []
        with self.read() as connection:
            now = server_time(connection)
            for row in connection.execute(query).mappings():
                values = {**row}
                made, undone = values.pop("made"), values.pop("undone")
                found.append((as_run(values, now), made, undone))
        return found

    def run_kinds(self, runs: Collection[int]) -> dict[int, RunKind]:
        """Return what the changes of some runs are: see `RunKind`; runs without changes are left out."""
        undone = CHANGES.alias("undone")
        query = (
            select(
                CHANGES.c.run, RUNS.c.command, func.count(), func.count(CHANGES.c.undoes), func.count(undone.c.undoes)
            )
            .join(RUNS, RUNS.c.id == CHANGES.c.run)
            .outerjoin(undone, undone.c.id == CHANGES.c.undoes)
            .where(CHANGES.c.run.in_(sorted(runs)))
            .group_by(CHANGES.c.run, RUNS.c.command)
        )
        with self.read() as connection:
            return {run: _run_kind(*values) for run, *values in connection.execute(query)}

    def change_counts(self, run: int) -> tuple[int, int]:
        """Return the number of a run's changes, and how many of them were undone."""
        made = and_(CHANGES.c.run == run, CHANGES.c.state == "done")
        with self.read() as connection:
            row = connection.execute(select(func.count(), func.count(CHANGES.c.undone_by)).where(made)).one()
        return int(row[0]), int(row[1])

    def count_analyses(self, model: str, front_end: str) -> int:
        """Return how many songs there are of which `sounds` gives the sound."""
        place = ANALYSES.c.model == model, ANALYSES.c.front_end == front_end
        analysed = and_(*place, ANALYSES.c.spread.is_not(None))
        with self.read() as connection:
            return int(connection.execute(select(func.count()).select_from(ANALYSES).where(analysed)).scalar_one())

    def count_identified(self) -> int:
        """Return how many existing files have known audio."""
        with self.read() as connection:
            return int(connection.execute(select(func.count(FILES.c.audio_key)).where(PRESENT)).scalar_one())

    def genres_by_artist(self, places: Sequence[str] = ()) -> Iterator[tuple[str, tuple[str, ...], int]]:
        """Return (artist key or "", genres, number) of the existing files with known audio, at or below some paths."""
        artist = func.coalesce(FILES.c.artist_key, "")
        query = select(artist, AFTER, func.count()).where(PRESENT, FILES.c.audio_key.is_not(None))
        if places:
            query = query.where(or_(*(or_(FILES.c.path == place, below(FILES.c.path, place)) for place in places)))
        with self.read() as connection:
            rows = connection.execute(query.group_by(artist, AFTER)).all()
        return ((key, tuple(json.loads(genres)), number) for key, genres, number in rows)

    def library_version(self) -> tuple[int, str]:
        """Return what differs after a scan has added, read again or lost files: their number and the latest time."""
        with self.read() as connection:
            count, latest = connection.execute(select(func.count(), func.max(FILES.c.seen_at)).where(PRESENT)).one()
        return int(count), str(latest)

    def count_analysed(self) -> int:
        """Return how many songs any model has analysed."""
        with self.read() as connection:
            return int(connection.execute(select(func.count(distinct(ANALYSES.c.audio_key)))).scalar_one())

    def count_songs(self, status: str) -> int:
        """Return the number of songs in files of a status; files with the same audio are one song."""
        songs = func.count(distinct(FILES.c.audio_key)) + func.count(case((FILES.c.audio_key.is_(None), 1)))
        with self.read() as connection:
            return int(connection.execute(select(songs).where(PRESENT, FILES.c.status == status)).scalar_one())


def _run_kind(command: str, changes: int, undos: int, redos: int) -> RunKind:
    if command.split(" ")[0] == "beet":
        return "beets_undo" if undos == changes else "beets"
    return "redo" if redos else "undo" if undos else "write"
