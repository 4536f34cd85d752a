"""Copy an SQLite database that may be in use, by SQLite's backup API."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing

from genrify_tagger.errors import StoreError
from genrify_tagger.open_files import BINARY, sync_folder


def copy_sqlite(source: str, copy: str) -> None:
    """Copy the database file `source` to `copy`, completely or not at all.

    Raises
    ------
    StoreError
        If `copy` exists or cannot be written.
    sqlite3.Error
        If the database cannot be read.
    """
    partial = f"{copy}.partial-{os.getpid()}"
    try:
        _create(partial, like=source)
        _copy_pages(source, partial)
        _sync(partial)
        _rename_to_new(partial, copy)
        sync_folder(os.path.dirname(os.path.abspath(copy)))
    except FileExistsError as error:
        raise StoreError("the file exists already", path=copy, hint="choose another name") from error
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}:
            raise
        raise StoreError("no space left for the backup", path=copy) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"the backup cannot be written: {reason}", path=copy) from error
    finally:
        if os.path.lexists(partial):
            os.unlink(partial)


def _create(partial: str, *, like: str) -> None:
    """Create an empty file with the permissions of the database."""
    os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    shutil.copymode(like, partial)


def _copy_pages(source: str, partial: str) -> None:
    with closing(sqlite3.connect(source, timeout=30)) as old, closing(sqlite3.connect(partial)) as new:
        old.backup(new)
        # A single file, readable without a write-ahead log beside it.
        new.execute("PRAGMA journal_mode=DELETE")


def _rename_to_new(partial: str, copy: str) -> None:
    """Rename without replacing a file; without hard links, check for one first."""
    try:
        os.link(partial, copy)
    except FileExistsError:
        raise
    except OSError:
        if os.path.lexists(copy):
            raise FileExistsError(copy) from None
        os.rename(partial, copy)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | BINARY)  # Windows flushes only what is open for writing
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
