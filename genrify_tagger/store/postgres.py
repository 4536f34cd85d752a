"""PostgreSQL: connections that notice a lost server, and a lock that orders writers as SQLite does."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc, text

from genrify_tagger.errors import StoreError
from genrify_tagger.extras import install_command

WRITE_LOCK = 0x67656E7269667931  # advisory locks are numbers; this one spells "genrify1" in ASCII
PATH_LIMIT = 2600  # bytes of a path in an index, whose rows have at most 2,704
# By default, both ends wait for hours for one that has vanished: the program hangs, and the server keeps the locks of
# the transaction that was open. What the URL says takes precedence.
_VANISHED_SECONDS = 15
_PROBE_SECONDS = 5
_CONNECTING = {
    "connect_timeout": "10",
    "keepalives_idle": f"{_PROBE_SECONDS}",
    "keepalives_interval": f"{_PROBE_SECONDS}",
    "keepalives_count": f"{_VANISHED_SECONDS // _PROBE_SECONDS}",
    "tcp_user_timeout": f"{1000 * _VANISHED_SECONDS}",
}
_SERVER_LIMITS = {
    "tcp_keepalives_idle": f"{_PROBE_SECONDS}",
    "tcp_keepalives_interval": f"{_PROBE_SECONDS}",
    "tcp_keepalives_count": f"{_VANISHED_SECONDS // _PROBE_SECONDS}",
    "tcp_user_timeout": f"{_VANISHED_SECONDS}s",
}
_SET_LIMIT = "SELECT set_config(name, %s, false) FROM pg_settings WHERE name = %s"  # PostgreSQL 11 lacks the last one
_LOCK = text("SELECT pg_advisory_xact_lock(:lock), set_config('synchronous_commit', :sync, true)")
_LOCK_SHARED = text("SELECT pg_advisory_xact_lock_shared(:lock), set_config('synchronous_commit', :sync, true)")
_REFERENCES = text(
    "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint "
    "JOIN pg_class ON pg_class.oid = conrelid WHERE contype = 'f' AND relname = ANY(:tables) "
    "AND relnamespace = current_schema()::regnamespace"
)
_IDENTITY = text("SELECT current_database(), pg_postmaster_start_time()")


def server_engine(url: URL, *, busy_seconds: float, **options: Any) -> Engine:
    """Create the engine for a database server.

    Parameters
    ----------
    url : URL
    busy_seconds : float
        Half of the time that a statement waits for the locks of others.
    **options
        For `sqlalchemy.create_engine`.

    Raises
    ------
    StoreError
        If the driver is not installed.
    """
    given = str(url.query.get("options", ""))
    # Others wait longer than a transaction may do nothing, because its host sleeps or hangs, or keeps its locks because
    # its host has vanished; and there may be two of these, one after the other.
    seconds = {"lock_timeout": 2 * busy_seconds, "idle_in_transaction_session_timeout": busy_seconds * 2 / 3}
    limits = {name: f"{value:.0f}s" for name, value in seconds.items()} | _SERVER_LIMITS
    limits = {name: value for name, value in limits.items() if name not in given}
    is_libpq = url.get_driver_name() in {"psycopg", "psycopg2"}
    wanted = {name: value for name, value in _CONNECTING.items() if is_libpq and name not in url.query}
    try:
        engine = create_engine(url, pool_pre_ping="poolclass" not in options, connect_args=wanted, **options)
    except (ImportError, exc.NoSuchModuleError) as error:
        raise StoreError(
            f"the driver for {url.drivername} is not installed", hint=install_command("postgres")
        ) from error

    @event.listens_for(engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            for name, value in limits.items():
                cursor.execute(_SET_LIMIT, (value, name))
        connection.commit()

    return engine


def lock_writers(connection: Connection, *, shared: bool = False, durable: bool = True) -> None:
    """Begin a write transaction: what it reads stays true until it ends.

    Rows alone would not do: a row that is not there yet cannot be locked, and two transactions that change the same
    rows in different order end in a deadlock.

    Parameters
    ----------
    connection : Connection
    shared : bool
        Let others that are shared write at the same time.
    durable : bool
        Whether the commit waits until it is on the server's disk.
    """
    sync = "on" if durable else "off"
    connection.execute(_LOCK_SHARED if shared else _LOCK, {"lock": WRITE_LOCK, "sync": sync})


def stay_idle(connection: Connection) -> None:
    """Let a transaction do nothing for any time."""
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def identity(connection: Connection) -> tuple[object, ...]:
    """Return what only this database of this server has, by whatever URL it is reached."""
    return tuple(connection.execute(_IDENTITY).one())


@contextmanager
def references_checked_at_end(connection: Connection, tables: Collection[str]) -> Iterator[None]:
    """Let rows of `tables` refer to rows that are inserted after them, within the block and one transaction."""
    found = connection.execute(_REFERENCES, {"tables": list(tables)}).all()
    for table, name, _ in found:
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    for table, name, definition in found:
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
