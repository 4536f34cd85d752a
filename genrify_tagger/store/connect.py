"""Connections: one engine per store, SQLite's pragmas, and transactions that raise `StoreError`."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from json import dumps, loads
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, exc, make_url

from genrify_tagger.errors import StoreConnectionError, StoreError
from genrify_tagger.mounts import is_network_folder
from genrify_tagger.store.db_errors import USE_ANOTHER, describe_db_error, plain_url, shown
from genrify_tagger.store.postgres import PATH_LIMIT, lock_writers, server_engine

BUSY_SECONDS = 30.0
MIGRATION_SECONDS = 300.0
RETRY_SECONDS = 0.2
SNAPSHOT = "REPEATABLE READ"

P = ParamSpec("P")
T = TypeVar("T")


def repeatable(method: Callable[P, T]) -> Callable[P, T]:
    """Decorate a method of a store that is run again if the server's connection was lost meanwhile.

    Only for one that may run twice: the server may have made the changes of the first time.
    """

    @wraps(method)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        deadline: float | None = None
        kept: Any = [list(value) if isinstance(value, Iterator) else value for value in args]
        while True:
            try:
                return method(*kept, **kwargs)
            except StoreConnectionError:
                # From now on: the computer may have slept since the method began.
                deadline = deadline or time.monotonic() + BUSY_SECONDS
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)

    return run


class Database:
    """An engine and its kinds of transactions; safe for several threads.

    Parameters
    ----------
    url : URL
        From `parse_url`.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.path_limit = 0 if self.is_sqlite else PATH_LIMIT  # bytes that a path may have; 0: any number
        self.network = self.is_sqlite and is_network_folder(os.path.dirname(self.file))
        self._engine = _engine(url)
        # A power failure may lose the last cache entries but never a journal entry; outside of WAL mode anything less
        # than FULL could damage the database.
        self._relaxed_engine = self._engine.execution_options(
            begin="BEGIN IMMEDIATE", sync="FULL" if self.network else "NORMAL"
        )
        self._durable_engine = self._engine.execution_options(begin="BEGIN IMMEDIATE", sync="FULL")
        # Each read sees one state, however many statements it takes, as in SQLite.
        self._read_engine = self._engine if self.is_sqlite else self._engine.execution_options(isolation_level=SNAPSHOT)
        # SQLite waits by sleeping, without order; threads of one process queue here instead.
        self._write_lock = threading.Lock() if self.is_sqlite else nullcontext()
        self._has_connected = False
        self._away_since: float | None = None  # when the server did not answer for the first time of late
        self._opened_inode: int | None = None

    @property
    def file(self) -> str:
        """Path of an SQLite database."""
        assert self.url.database
        return self.url.database

    @property
    def name(self) -> str:
        """Its name for messages: the path of a file, or the URL on a server without password."""
        return self.file if self.is_sqlite else shown(self.url)

    def close(self) -> None:
        """Close the connections; the last process to close an SQLite database merges its write-ahead log."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a read-only transaction. Keep it short: never yield to a caller inside."""
        with self._errors_described(), self._connected(self._read_engine) as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False, shared: bool = False, queued: bool = True) -> Iterator[Connection]:
        """Open a write transaction: committed at the end, rolled back by an exception.

        Nothing else is written meanwhile, so that what it has read stays true.

        Parameters
        ----------
        durable : bool
            Whether it must survive a power failure once committed.
        shared : bool
            Whether, on a server, others that are shared may run at the same time: for changes of a single row, or of
            rows that all change in the same order.
        queued : bool
            Whether, on a server, to wait for others at all: not for the change of a row that only this process changes.
        """
        engine = self._durable_engine if durable else self._relaxed_engine
        with self._errors_described(), self._write_lock, self._connected(engine) as connection, connection.begin():
            if self.is_sqlite:
                self._refuse_vanished()
            elif queued:
                lock_writers(connection, shared=shared, durable=durable)
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Open a transaction for a migration: no other process can migrate or write until it ends."""
        engine = _engine(self.url, busy_seconds=MIGRATION_SECONDS, foreign_keys=False, poolclass=NullPool)
        exclusive = engine.execution_options(begin="BEGIN IMMEDIATE", sync="FULL")
        with describe_db_error(self.url), self._write_lock, exclusive.begin() as connection:
            if not self.is_sqlite:
                lock_writers(connection)
            yield connection

    def _errors_described(self) -> AbstractContextManager[None]:
        return describe_db_error(self.url, was_there=self._has_connected)

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        """Connect; wait for a server that is away for a moment, once it was there, but only once for each absence."""
        while True:
            began = time.monotonic()
            try:
                connection = engine.connect()
                break
            except exc.OperationalError:
                self._away_since = away_since = self._away_since or began
                if self.is_sqlite or not self._has_connected or time.monotonic() > away_since + BUSY_SECONDS:
                    raise
            time.sleep(RETRY_SECONDS)
        self._has_connected, self._away_since = True, None
        with connection:
            yield connection

    def choose_journal_mode(self) -> None:
        """Use a write-ahead log in SQLite, except on network file systems, which lack the shared memory it needs."""
        if not self.is_sqlite:
            return
        wanted = "delete" if self.network else "wal"
        with self.outside_transaction() as connection:
            if _pragma(connection, "journal_mode") != wanted:
                _retry_while_locked(lambda: _pragma(connection, f"journal_mode={wanted}"))
            self._opened_inode = self._inode()

    def _refuse_vanished(self) -> None:
        """Refuse to write into a deleted database file: SQLite would continue, and the journal would be lost."""
        if self._inode() != self._opened_inode:
            hint = "run it again"
            raise StoreError("the database was moved or deleted while in use", path=self.file, hint=hint)

    def _inode(self) -> int | None:
        """Return the inode of the SQLite file; a constant on network file systems, where inodes may change."""
        try:
            return 0 if self.network else os.stat(self.file).st_ino
        except OSError:
            return None

    @contextmanager
    def outside_transaction(self) -> Iterator[Connection]:
        """Open a connection for statements that SQLite accepts outside of transactions only."""
        with describe_db_error(self.url), self._engine.connect() as connection:
            yield connection.execution_options(begin="")


def parse_url(url: str) -> URL:
    """Parse a SQLAlchemy URL or the absolute path of an SQLite file, and fill in the driver.

    Raises
    ------
    StoreError
        If it is invalid, or names an unsupported database or one in memory.
    """
    if os.path.isabs(url):
        return URL.create("sqlite", database=url)
    try:
        found = make_url(url)
        backend = found.get_backend_name()
    except (exc.ArgumentError, ValueError) as error:
        raise StoreError(
            "the setting database.url is not a valid database URL", hint="for example sqlite:////folder/file.db"
        ) from error
    if backend in {"postgresql", "postgres"}:
        return found.set(drivername="postgresql+psycopg") if found.drivername in {"postgresql", "postgres"} else found
    if backend != "sqlite":
        raise StoreError(f"databases of type {backend!r} are not supported", hint="use sqlite or postgresql")
    if not found.database or found.database == ":memory:" or found.database.startswith("file:"):
        raise StoreError("the database must be a file", hint="for example sqlite:////folder/file.db")
    return found.set(database=os.path.abspath(os.path.expanduser(found.database)))


def database_file(url: str) -> str | None:
    """Return the path of the SQLite file that a URL names, None for a database server; raises as `parse_url`."""
    parsed_url = parse_url(url)
    return parsed_url.database if parsed_url.get_backend_name() == "sqlite" else None


def database_name(url: str) -> str:
    """Return the path of an SQLite file, or the URL of a server without password and options; raises as `parse_url`."""
    return database_file(url) or shown(parse_url(url))


def url_without_password(url: str) -> str:
    """Return the URL of a database, with all that is needed to connect but the password; raises as `parse_url`."""
    return plain_url(parse_url(url))


def create_folder(path: str) -> None:
    """Create the folder of an SQLite database.

    Raises
    ------
    StoreError
        If it cannot be created.
    """
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"the database's folder cannot be created: {reason}", path=folder, hint=USE_ANOTHER) from error


def _engine(url: URL, *, busy_seconds: float = BUSY_SECONDS, foreign_keys: bool = True, **options: Any) -> Engine:
    # In ASCII, so that both databases accept surrogates.
    options |= {"json_serializer": dumps, "json_deserializer": _from_json}
    if "poolclass" not in options:
        options |= {"max_overflow": -1}  # a thread never waits for a connection
    if url.get_backend_name() != "sqlite":
        return server_engine(url, busy_seconds=busy_seconds, **options)
    # "?timeout=5" in the URL takes precedence
    engine = create_engine(url, connect_args={} if "timeout" in url.query else {"timeout": busy_seconds}, **options)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # `begin` below starts the transactions, not the driver
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        settings = connection.get_execution_options()
        sync = settings.get("sync")
        if sync and connection.info.get("sync") != sync:
            connection.info.pop("sync", None)  # unknown while it changes
            connection.exec_driver_sql(f"PRAGMA synchronous={sync}")
            connection.info["sync"] = sync
        if statement := settings.get("begin", "BEGIN"):
            connection.exec_driver_sql(statement)

    return engine


def _from_json(data: str) -> Any:
    return [] if data == "[]" else loads(data)  # most lists are empty


def _pragma(connection: Connection, pragma: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()


def _retry_while_locked(action: Any) -> None:
    """Retry a statement that SQLite refuses at once, without its busy timeout, while others use the database."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            action()
            return
        except exc.OperationalError as error:
            locked = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not locked or time.monotonic() > deadline:
                raise
        time.sleep(0.05)
