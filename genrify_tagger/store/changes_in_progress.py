"""Changes that are in progress: one of a file at a time, and only by the process that has claimed it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, bindparam, select, text

from genrify_tagger import process_identity
from genrify_tagger.errors import ChangedMeanwhileError
from genrify_tagger.process_identity import SILENCE_LIMIT, host_of, this_process
from genrify_tagger.store.claims import LEASE, server_time
from genrify_tagger.store.records import PENDING
from genrify_tagger.store.tables import CHANGES, CLAIMS, PROCESSES, RUNS

# The changes in progress, each with the process that makes it and when that was last seen.
IN_PROGRESS = (
    select(CHANGES, RUNS.c.owner, PROCESSES.c.seen_at)
    .join(RUNS, CHANGES.c.run == RUNS.c.id)
    .outerjoin(PROCESSES, RUNS.c.owner == PROCESSES.c.owner)
    .where(CHANGES.c.state == PENDING)
    .order_by(CHANGES.c.id)
)
# built once: that takes longer than to run it
_IN_PROGRESS_AT = IN_PROGRESS.where(CHANGES.c.path == bindparam("path"))
_HOLDER = select(CLAIMS.c.owner).where(CLAIMS.c.path == bindparam("path"))


class ChangeInProgressError(ChangedMeanwhileError):
    """Another process has begun to change the file and not journalled how that ended; nothing was written.

    Attributes
    ----------
    is_abandoned : bool
        Whether that process has ended, so that its change can be resolved from here.
    is_silent : bool
        Whether it is on another host and has given no sign of life lately.
    """

    is_abandoned = is_silent = False


def lock_path(connection: Connection, path: str) -> None:
    """Let no other transaction begin a change of a file until this one ends; in SQLite, none can write anyway."""
    if connection.dialect.name != "sqlite":
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(encode(:path, 'hex'), 0))")
        connection.execute(lock, {"path": os.fsencode(path)})


def own_in_progress(connection: Connection, path: str) -> list[RowMapping]:
    """Return this process's changes of a file that it could neither finish nor revert; refuse those of others."""
    now, own = server_time(connection), this_process()
    found = connection.execute(_IN_PROGRESS_AT, {"path": path}).mappings().all()
    for row in found:
        if row["owner"] != own:
            raise _in_progress(row, now)
    return list(found)


def _in_progress(row: RowMapping, now: datetime) -> ChangeInProgressError:
    host = host_of(row["owner"])
    error = ChangeInProgressError(f"run {row['run']} on {host} is writing this file", path=row["path"])
    error.is_abandoned = is_gone(row, now, SILENCE_LIMIT)
    error.is_silent = is_gone(row, now, LEASE)
    if error.is_silent:
        error.message = f"run {row['run']} on {host} was interrupted while it wrote this file"
        error.hint = f"the next start of genrify-tag on {host} repairs it"
    return error


def refuse_lost_claim(connection: Connection, path: str, owner: str) -> None:
    """Refuse to change a file whose claim another process has taken over."""
    holder = connection.execute(_HOLDER, {"path": path}).scalar()
    if holder != owner:
        by = "another process" if holder is None else f"a process on {host_of(holder)}"
        raise ChangedMeanwhileError(f"this process was silent for too long, and {by} took the file over", path=path)


def is_gone(row: RowMapping, now: datetime, silence: timedelta) -> bool:
    """Return whether the process that makes a change has ended, or was silent for too long on another host."""
    seen = row["created_at"] if row["seen_at"] is None else max(row["created_at"], row["seen_at"])
    return process_identity.is_gone(row["owner"], seen, limit=silence, now=now)
