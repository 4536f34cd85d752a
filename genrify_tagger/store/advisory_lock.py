"""A lock that one process holds for as long as it lives, on a database server that others use from other machines."""

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
    """Hold the lock until the end of the block; it goes with the connection, however this process ends.

    Parameters
    ----------
    database : Database
        An open database. SQLite has no such lock: a file beside it has to serve.
    label : str
        What others are told of this process.

    Yields
    ------
    str or None
        The label of the process that holds it already; None if it is ours.
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
                connection.invalidate()  # closes it, and the lock with it; the server may be gone already
        else:
            yield free.execute(_HOLDER, {"number": NUMBER}).scalar() or "unknown"
