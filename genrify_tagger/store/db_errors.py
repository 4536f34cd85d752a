"""Translate errors of SQLAlchemy and of the database drivers into `StoreError`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, exc

from genrify_tagger.errors import StoreCorruptError, StoreError

USE_ANOTHER = "name another file with --database, GENRIFY_DATABASE__URL or the setting database.url"
RESTORE = "run `genrify-tag db check`, then restore a backup, or move the file away to start with an empty one"
BUSY = "another program has locked the database for too long"


def shown(url: URL) -> str:
    """Return a database server's URL for messages, without password and options."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def describe_db_error(url: URL) -> Iterator[None]:
    """Turn any error of the database at `url` into a StoreError.

    Raises
    ------
    StoreCorruptError
        If the file is damaged or not a database.
    StoreError
        For everything else: locked, full, read-only, unreachable ...
    """
    try:
        yield
    except (exc.SQLAlchemyError, sqlite3.Error) as error:
        raise _translated(error, url) from error


def _translated(error: Exception, url: URL) -> StoreError:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, str(url.database))
    if url.get_backend_name() == "sqlite":
        return StoreError(f"the database reports an error: {_first_line(cause)}", path=url.database)
    if isinstance(error, exc.OperationalError):
        hint = "check the setting database.url"
        return StoreError(f"the database server at {shown(url)} cannot be used: {_first_line(cause)}", hint=hint)
    return StoreError(f"the database at {shown(url)} reports an error: {_first_line(cause)}")


def _from_sqlite(cause: sqlite3.Error, path: str) -> StoreError:
    """Distinguish errors by SQLite's own names ("SQLITE_IOERR_WRITE")."""
    kind = str(getattr(cause, "sqlite_errorname", ""))
    if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return StoreCorruptError("the file is damaged or is not a database", path=path, hint=RESTORE)
    if kind.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(BUSY, path=path, hint="find out what else uses it, then try again")
    if kind == "SQLITE_FULL":
        return StoreError("no space left for the database", path=path, hint="free some space, then run it again")
    if kind.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(f"the database {_obstacle(path)}", path=path, hint=USE_ANOTHER)
    if kind.startswith("SQLITE_IOERR"):
        hint = "check the disk and its free space"
        return StoreError(f"the disk reports an error in the database ({_first_line(cause)})", path=path, hint=hint)
    return StoreError(f"the database reports an error: {_first_line(cause)}", path=path)


def _obstacle(path: str) -> str:
    """Return why a file cannot be opened for writing."""
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        return "is a folder"
    if not os.path.isdir(folder):
        return "cannot be opened: its folder does not exist"
    if os.path.exists(path) and not os.access(path, os.R_OK):
        return "cannot be read: no permission"
    if os.path.exists(path) and not os.access(path, os.W_OK):
        return "cannot be written: it is read-only"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "cannot be written: its folder is read-only"
    return "cannot be opened for writing"


def _first_line(cause: object) -> str:
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__
