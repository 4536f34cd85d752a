"""The runs table: commands that may change files, when they ran and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update

from genrify_tagger.process_identity import is_gone, this_process
from genrify_tagger.store.connect import Database
from genrify_tagger.store.records import RunRecord, utc_now
from genrify_tagger.store.tables import CHANGES, RUNS

RUNNING, INTERRUPTED = "running", "interrupted"


class Runs(Database):
    """The runs table."""

    def start_run(self, command: str, arguments: Sequence[str] = (), model: str | None = None) -> int:
        """Start a run of this process and return its id."""
        row: dict[str, object] = {
            "command": command,
            "arguments": tuple(arguments),
            "model": model,
            "owner": this_process(),
            "started_at": utc_now(),
            "status": RUNNING,
            "counts": {},
        }
        with self.write(shared=True) as connection:
            return int(connection.execute(insert(RUNS).values(row).returning(RUNS.c.id)).scalar_one())

    def finish_run(self, run: int, status: str, counts: Mapping[str, int]) -> None:
        """Save how a run ended ("done", "interrupted", "failed") and its number of files by status."""
        values = {"status": status, "counts": dict(counts), "finished_at": utc_now()}
        with self.write(shared=True) as connection:
            connection.execute(update(RUNS).where(RUNS.c.id == run).values(values))

    def drop_run(self, run: int) -> None:
        """Delete a run that changed nothing; one that the journal refers to stays."""
        used = select(CHANGES.c.id).where(CHANGES.c.run == run).exists()
        with self.write() as connection:
            connection.execute(delete(RUNS).where(RUNS.c.id == run, ~used))

    def runs(self, *, limit: int | None = 20, command: str | None = None) -> list[RunRecord]:
        """Return runs, newest first."""
        query = select(RUNS).order_by(RUNS.c.id.desc()).limit(limit)
        if command is not None:
            query = query.where(RUNS.c.command == command)
        with self.read() as connection:
            return [as_run(row) for row in connection.execute(query).mappings()]

    def last_run(self, command: str | None = None) -> RunRecord | None:
        """Return the newest run (of a command), None if there is none."""
        found = self.runs(limit=1, command=command)
        return found[0] if found else None

    def run(self, run: int) -> RunRecord | None:
        """Return a run by its id."""
        with self.read() as connection:
            row = connection.execute(select(RUNS).where(RUNS.c.id == run)).mappings().first()
        return None if row is None else as_run(row)


def as_run(row: Mapping[str, Any] | RowMapping) -> RunRecord:
    """Return a row as a record; a run whose process has ended counts as interrupted."""
    values = {**row}
    owner = values.pop("owner")
    if values["status"] == RUNNING and is_gone(owner, values["started_at"]):
        values["status"] = INTERRUPTED
    return RunRecord(**values)
