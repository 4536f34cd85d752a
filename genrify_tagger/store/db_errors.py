"""Translate errors of SQLAlchemy and of the database drivers into `StoreError`."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import URL, exc

from genrify_tagger.errors import StoreConnectionError, StoreCorruptError, StoreError

USE_ANOTHER = "name another file with --database, GENRIFY_DATABASE__URL or the setting database.url"
RESTORE = "run `genrify-tag db check`, then restore a backup, or move the file away to start with an empty one"
BUSY = "another program has locked the database for too long"
_AGAIN = "what was written so far is kept; run it again"
#: What a server refuses and what to do, by SQLSTATE.
_HINTS = {
    "25P03": ("has ended a transaction of this computer, which was asleep or overloaded", _AGAIN),
    "25006": ("is read-only", "name the main server in database.url, not a standby"),
    "40P01": ("cannot be used: " + BUSY, "find out what else uses it, then try again"),
    "42501": (
        "does not let this user create or change its tables",
        "grant it CREATE on the schema, or give it a database of its own",
    ),
    "53100": ("has no space left", "free some space there, then run it again"),
    "53300": ("has no connection free", "raise its max_connections, or run fewer programs at once"),
    "54000": ("cannot store paths or names of more than about 2,600 bytes", "shorten them, or use SQLite"),
    "55P03": ("cannot be used: " + BUSY, "find out what else uses it, then try again"),
    "57P01": ("was shut down", _AGAIN),
    "57P02": ("has crashed", _AGAIN),
    "57P03": ("is starting up or shutting down", "try again in a moment"),
}
_CONNECTING_HINTS = {
    "password authentication failed": "check user and password in database.url, or ~/.pgpass",
    "no password supplied": "put the password into database.url or ~/.pgpass",
    "does not exist": "create it on the server (createuser, createdb), or check database.url",
    "onnection refused": "start it, or check the setting database.url",
    "o such file or directory": "start it, or check the setting database.url",
    "too many clients": "raise its max_connections, or run fewer programs at once",
    "server closed the connection": _AGAIN,
    "connection is lost": _AGAIN,
}


_PASSWORD = re.compile(r"(://[^:/@\s]*):\S*@|([?&]password=)[^&\s]*")
_CONNECTION_FAILED = re.compile(r"connection (?:failed|is bad): (?:connection to server .*? failed: )?(?:FATAL:\s+)?")


def shown(url: URL) -> str:
    """Return a database server's URL for messages, without password and options."""
    return plain_url(url.set(query={}))


def plain_url(url: URL) -> str:
    """Return a URL without the password, and without the driver if it is the usual one."""
    if url.drivername == "postgresql+psycopg":
        url = url.set(drivername="postgresql")
    return url.difference_update_query(["password"]).render_as_string(hide_password=True)


def hide_password(argument: str) -> str:
    """Return an argument of a command line with the password of a URL in it replaced by stars."""
    return _PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[1] else f"{found[2]}***", argument)


@contextmanager
def describe_db_error(url: URL, *, was_there: bool = False) -> Iterator[None]:
    """Turn any error of the database at `url` into a StoreError.

    Parameters
    ----------
    url : URL
    was_there : bool
        Whether this process has connected to it before.

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
        raise _translated(error, url, was_there=was_there) from error


def _translated(error: Exception, url: URL, *, was_there: bool) -> StoreError:
    cause = error.orig if isinstance(error, exc.DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, str(url.database))
    if url.get_backend_name() == "sqlite":
        return StoreError(f"the database reports an error: {_first_line(cause)}", path=url.database)
    return _from_server(error, cause, url, was_there=was_there)


def _from_server(error: Exception, cause: object, url: URL, *, was_there: bool) -> StoreError:
    """Distinguish errors by PostgreSQL's codes; before the connection stands there is only the text."""
    code = str(getattr(cause, "sqlstate", None) or "")
    told = _CONNECTION_FAILED.sub("", _first_line(cause), count=1)
    server = f"the database server at {shown(url)}"
    lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
    kind = StoreConnectionError if lost else StoreError
    if code in _HINTS:
        what, hint = _HINTS[code]
        return kind(f"{server} {what}", hint=hint)
    if isinstance(error, exc.OperationalError) and was_there and not code:
        return kind(f"{server} cannot be reached any more: {told}", hint=_AGAIN)
    if isinstance(error, exc.OperationalError):
        known = (hint for words, hint in _CONNECTING_HINTS.items() if words in str(cause))
        return kind(
            f"{server} cannot be used: {told}", hint=next(known, _AGAIN if lost else "check the setting database.url")
        )
    return StoreError(f"the database at {shown(url)} reports an error: {told}")


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
