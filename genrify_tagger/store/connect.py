"""Connections: one engine per store, SQLite's pragmas, and transactions that speak plain words when they fail."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps, loads
from typing import Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, exc, make_url, text

from genrify_tagger.errors import StoreError
from genrify_tagger.store.db_errors import ELSEWHERE, describe_db_error
from genrify_tagger.store.network import is_network_folder

BUSY_SECONDS = 30.0
MIGRATION_SECONDS = 300.0
MIGRATION_LOCK = 0x67656E7269667931  # PostgreSQL's advisory locks are numbers; this one spells "genrify1"


class Database:
    """An engine and its ways of opening a transaction; safe for several threads.

    Parameters
    ----------
    url : URL
        As `parsed` returns it.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self.network = self.is_sqlite and is_network_folder(os.path.dirname(self.file))
        self._engine = _engine(url)
        # A lost power supply may take back the last cache entries but never a journal entry; outside of WAL mode
        # anything less than FULL could damage the database.
        self._cache = self._engine.execution_options(begin="BEGIN IMMEDIATE", sync="FULL" if self.network else "NORMAL")
        self._journal = self._engine.execution_options(begin="BEGIN IMMEDIATE", sync="FULL")
        # SQLite's waiting is unfair and sleeps; threads of one process had better queue here.
        self._turn = threading.Lock()
        self._opened: int | None = None

    @property
    def file(self) -> str:
        """Path of an SQLite database."""
        assert self.url.database
        return self.url.database

    def close(self) -> None:
        """Close the connections; the last one to leave an SQLite database folds its log into it."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads. Keep it short: never hand control to a caller inside."""
        with describe_db_error(self.url), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[Connection]:
        """Open a transaction that writes; it is committed at the end and rolled back by an exception.

        Parameters
        ----------
        durable : bool
            Whether it must survive a power failure as soon as this returns.
        """
        engine = self._journal if durable else self._cache
        with describe_db_error(self.url), self._turn, engine.begin() as connection:
            self._refuse_vanished()
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Open the transaction of a migration: no other process can migrate or write until it ends."""
        engine = _engine(self.url, wait=MIGRATION_SECONDS, foreign_keys=False, poolclass=NullPool)
        alone = engine.execution_options(begin="BEGIN IMMEDIATE", sync="FULL")
        with describe_db_error(self.url), self._turn, alone.begin() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            yield connection

    def choose_journal(self) -> None:
        """Switch an SQLite database to its write-ahead log, or back where the file system forbids one."""
        if not self.is_sqlite:
            return
        wanted = "delete" if self.network else "wal"
        with self.outside_transaction() as connection:
            if _pragma(connection, "journal_mode") != wanted:
                _insist(lambda: _pragma(connection, f"journal_mode={wanted}"))
            self._opened = self._inode()

    def _refuse_vanished(self) -> None:
        """Refuse to write into a file that has lost its name: SQLite would not mind, and the journal would be lost."""
        if self.is_sqlite and self._inode() != self._opened:
            hint = "run it again"
            raise StoreError("the database was moved or deleted while in use", path=self.file, hint=hint)

    def _inode(self) -> int | None:
        """Return what tells an SQLite file from another at its path; network file systems may change their minds."""
        try:
            return 0 if self.network else os.stat(self.file).st_ino
        except OSError:
            return None

    @contextmanager
    def outside_transaction(self) -> Iterator[Connection]:
        """Open a connection for the few statements that SQLite takes outside of transactions only."""
        with describe_db_error(self.url), self._engine.connect() as connection:
            yield connection.execution_options(begin="")


def parsed(url: str) -> URL:
    """Parse a SQLAlchemy URL, or the absolute path of an SQLite file, and settle what it leaves open.

    Raises
    ------
    StoreError
        If it is none, or names a kind of database that is not supported, or SQLite's memory.
    """
    if os.path.isabs(url):
        return URL.create("sqlite", database=url)
    try:
        found = make_url(url)
        backend = found.get_backend_name()
    except exc.ArgumentError as error:
        raise StoreError(
            "the setting database.url is no SQLAlchemy URL", hint="such as sqlite:////folder/file.db"
        ) from error
    if backend in {"postgresql", "postgres"}:
        return found.set(drivername="postgresql+psycopg") if found.drivername in {"postgresql", "postgres"} else found
    if backend != "sqlite":
        raise StoreError(f"the database kind {backend!r} is not supported", hint="use sqlite or postgresql")
    if not found.database or found.database == ":memory:" or found.database.startswith("file:"):
        raise StoreError("the database must be a file", hint="such as sqlite:////folder/file.db")
    return found.set(database=os.path.abspath(os.path.expanduser(found.database)))


def database_file(url: str) -> str | None:
    """Return the path of the SQLite file that a URL names, None for a database server; errors are those of `parsed`."""
    settled = parsed(url)
    return settled.database if settled.get_backend_name() == "sqlite" else None


def make_folder(path: str) -> None:
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
        raise StoreError(f"the database's folder cannot be created: {reason}", path=folder, hint=ELSEWHERE) from error


def _engine(url: URL, *, wait: float = BUSY_SECONDS, foreign_keys: bool = True, **options: Any) -> Engine:
    # Written in ASCII, hence surrogates survive in both databases.
    options |= {"json_serializer": dumps, "json_deserializer": _from_json}
    if "poolclass" not in options:
        options |= {"max_overflow": -1}  # a thread never waits for a connection
    if url.get_backend_name() != "sqlite":
        return _server_engine(url, **options)
    # "?timeout=5" in the URL is the user's word
    engine = create_engine(url, connect_args={} if "timeout" in url.query else {"timeout": wait}, **options)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions; `begin` below does
        connection.execute(f"PRAGMA foreign_keys={'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        settings = connection.get_execution_options()
        if "sync" in settings:
            connection.exec_driver_sql(f"PRAGMA synchronous={settings['sync']}")
        if statement := settings.get("begin", "BEGIN"):
            connection.exec_driver_sql(statement)

    return engine


def _from_json(data: str) -> Any:
    return [] if data == "[]" else loads(data)  # most lists are empty


def _server_engine(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, pool_pre_ping="poolclass" not in options, **options)
    except (ImportError, exc.NoSuchModuleError) as error:
        raise StoreError(
            f"the driver for {url.drivername} is not installed", hint="pip install 'genrify-tagger[cluster]'"
        ) from error


def _pragma(connection: Connection, pragma: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()


def _insist(action: Any) -> None:
    """Repeat what SQLite refuses at once, without its usual waiting, while others use the database."""
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
