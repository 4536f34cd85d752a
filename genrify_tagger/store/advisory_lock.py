"""A lock on a database server that one process holds until it ends, seen by other machines as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from genrify_tagger.store.connect import Database
from genrify_tagger.store.db_errors import describe_db_error

NUMBER = 0x67656E7269667932  # spells "genrify2"
_HOLDER = text(
    "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32) + objid::bigint = :number"
)


@contextmanager
def advisory_lock(database: Database, label: str) -> Iterator[str | None]:
    """Hold the lock within the block; the server releases it however this process ends.

    Parameters
    ----------
    database : Database
        An open database. SQLite has no such lock; use a lock file.
    label : str
        What other processes see as the holder.

    Yields
    ------
    str or None
        The label of the process that holds the lock already; None if this process got it.
    """
    if database.is_sqlite:
        yield None
        return
    with describe_db_error(database.url), database.outside_transaction() as connection:
        free = connection.execution_options(isolation_level="AUTOCOMMIT")
        if free.execute(text("SELECT pg_try_advisory_lock(:number)"), {"number": NUMBER}).scalar_one():
            free.execute(text("SELECT set_config('application_name', :label, false)"), {"label": label[:63]})
            try:
                yield None
            finally:
                connection.invalidate()  # closes the connection, which releases the lock; the server may be gone
        else:
            yield free.execute(_HOLDER, {"number": NUMBER}).scalar() or "unknown"
