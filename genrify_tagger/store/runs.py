"""The runs table: commands that may change files, when they ran and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update

from genrify_tagger.process_identity import is_gone, this_process
from genrify_tagger.store.claims import server_time
from genrify_tagger.store.connect import Database, repeatable
from genrify_tagger.store.db_errors import hide_password
from genrify_tagger.store.records import RunRecord, utc_now
from genrify_tagger.store.tables import CHANGES, PROCESSES, RUNS

RUNNING, INTERRUPTED = "running", "interrupted"

RUN_ROWS = select(RUNS, PROCESSES.c.seen_at).outerjoin(PROCESSES, RUNS.c.owner == PROCESSES.c.owner)


class Runs(Database):
    """The runs table."""

    def start_run(self, command: str, arguments: Sequence[str] = (), model: str | None = None) -> int:
        """Start a run of this process and return its id."""
        row: dict[str, object] = {
            "command": command,
            "arguments": tuple(map(hide_password, arguments)),
            "model": model,
            "owner": this_process(),
            "started_at": utc_now(),
            "status": RUNNING,
            "counts": {},
        }
        return self._insert_run(row)

    @repeatable
    def _insert_run(self, row: dict[str, object]) -> int:
        begun = select(RUNS.c.id).where(RUNS.c.owner == row["owner"], RUNS.c.started_at == row["started_at"])
        with self.write(durable=True, shared=True) as connection:  # durable: changes will refer to it
            found = connection.execute(begun).scalar()  # by this call, before the connection was lost
            return int(found or connection.execute(insert(RUNS).values(row).returning(RUNS.c.id)).scalar_one())

    @repeatable
    def finish_run(self, run: int, status: str, counts: Mapping[str, int]) -> None:
        """Save how a run ended ("done", "interrupted", "failed") and its number of files by status."""
        values = {"status": status, "counts": dict(counts), "finished_at": utc_now()}
        with self.write(shared=True) as connection:
            connection.execute(update(RUNS).where(RUNS.c.id == run).values(values))

    @repeatable
    def drop_run(self, run: int) -> None:
        """Delete a run that changed nothing; one that the journal refers to stays."""
        used = select(CHANGES.c.id).where(CHANGES.c.run == run).exists()
        with self.write() as connection:
            connection.execute(delete(RUNS).where(RUNS.c.id == run, ~used))

    @repeatable
    def runs(self, *, limit: int | None = 20, command: str | None = None) -> list[RunRecord]:
        """Return runs, newest first."""
        query = RUN_ROWS.order_by(RUNS.c.id.desc()).limit(limit)
        if command is not None:
            query = query.where(RUNS.c.command == command)
        with self.read() as connection:
            now = server_time(connection)
            return [as_run(row, now) for row in connection.execute(query).mappings()]

    def last_run(self, command: str | None = None) -> RunRecord | None:
        """Return the newest run (of a command), None if there is none."""
        found = self.runs(limit=1, command=command)
        return found[0] if found else None

    @repeatable
    def run(self, run: int) -> RunRecord | None:
        """Return a run by its id."""
        with self.read() as connection:
            now = server_time(connection)
            row = connection.execute(RUN_ROWS.where(RUNS.c.id == run)).mappings().first()
        return None if row is None else as_run(row, now)


def as_run(row: Mapping[str, Any] | RowMapping, now: datetime) -> RunRecord:
    """Return a row of `RUN_ROWS` as a record; a run whose process has ended by now counts as interrupted."""
    values = {**row}
    owner, seen = values.pop("owner"), values.pop("seen_at") or values["started_at"]
    if values["status"] == RUNNING and is_gone(owner, max(seen, values["started_at"]), now=now):
        values["status"] = INTERRUPTED
    return RunRecord(**values)
