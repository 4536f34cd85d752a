"""Maintenance of the database: check, backup, copy, prune."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, update

from genrify_tagger.errors import StoreError
from genrify_tagger.files import counted
from genrify_tagger.store.connect import parse_url
from genrify_tagger.store.db_errors import describe_db_error
from genrify_tagger.store.file_rows import Files
from genrify_tagger.store.journal import Journal
from genrify_tagger.store.library_copy import Progress, copy_library
from genrify_tagger.store.migrate import HEAD, stored_revision
from genrify_tagger.store.records import utc_now
from genrify_tagger.store.sort_keys import PRESENT
from genrify_tagger.store.sql import below, in_batches
from genrify_tagger.store.sqlite_backup import copy_sqlite
from genrify_tagger.store.tables import ANALYSES, FILES, MOUNTS

MAX_FREE_SHARE = 0.25  # of unused pages, beyond which the file is rebuilt
MAX_FINDINGS = 20  # a damaged database has thousands


class Maintenance(Files):
    """Backup, copying and pruning."""

    def backup(self, copy: str) -> None:
        """Copy the database to a new file while others use it.

        Raises
        ------
        StoreError
            If the file exists or cannot be written, or if the database is on a server.
        """
        if not self.is_sqlite:
            hint = "use its own tools, such as pg_dump, or copy the library into a file with `genrify-tag db copy`"
            raise StoreError("cannot back up a database on a server", hint=hint)
        with describe_db_error(self.url):
            copy_sqlite(self.file, copy)

    def copy_to(self, url: str, progress: Progress, *, dry_run: bool = False) -> dict[str, int]:
        """Copy all tables into an empty database of either kind; see `copy_library`."""
        return copy_library(self, url, progress, dry_run=dry_run)

    def prune(self, places: Sequence[str] | None = None, *, dry_run: bool = False) -> dict[str, int]:
        """Delete missing files and analyses that no file uses; the journal stays.

        Parameters
        ----------
        places : sequence of str or None
            Only files at or below these paths are deleted; there, a file that does not exist now counts as missing
            as well, and mount points there are forgotten.
        dry_run : bool
            Only count what would be deleted.

        Returns
        -------
        dict
            Number of "files" and of "analyses".
        """
        wanted: ColumnElement[bool] = FILES.c.missing_since.is_not(None)
        if places is not None:
            wanted = and_(wanted, or_(*(or_(FILES.c.path == place, below(FILES.c.path, place)) for place in places)))
        unused = ~exists().where(FILES.c.audio_key == ANALYSES.c.audio_key, ~wanted)
        gone = [path for place in places or () for path in self._not_there(place)]
        with self.write() as connection, connection.begin_nested() as changes:
            for part in in_batches(gone):
                mark = update(FILES).where(FILES.c.path.in_(part), PRESENT).values(missing_since=utc_now())
                connection.execute(mark)
            analyses = connection.execute(delete(ANALYSES).where(unused)).rowcount
            files = connection.execute(delete(FILES).where(wanted)).rowcount
            for place in places or ():
                connection.execute(delete(MOUNTS).where(or_(MOUNTS.c.point == place, below(MOUNTS.c.point, place))))
            if dry_run:
                changes.rollback()
        if not dry_run:
            self._compact()
        return {"files": files, "analyses": analyses}

    def _not_there(self, place: str) -> Iterator[str]:
        return (path for path in chain([place], self.paths_under(place)) if not os.path.lexists(path))

    def _compact(self) -> None:
        """Shrink an SQLite file with much unused space, unless it is in use."""
        if not self.is_sqlite:
            return
        with self.outside_transaction() as connection:
            free, pages = (_pragma(connection, name) for name in ("freelist_count", "page_count"))
            if free > pages * MAX_FREE_SHARE:
                connection.exec_driver_sql("VACUUM")


def check(url: str) -> list[str]:
    """Examine a database without changing it.

    Parameters
    ----------
    url : str
        As for `open_store`.

    Returns
    -------
    list of str
        The problems found; empty if there are none.

    Raises
    ------
    StoreError
        If `url` is invalid.
    """
    parsed_url = parse_url(url)
    database = Journal(parsed_url)
    if database.is_sqlite and not os.path.exists(database.file):
        return [f"no database at {database.file}"]
    try:
        with database.read() as connection:
            findings = [*_damage(connection), *_state(connection)]
        return findings or _unfinished(database)
    except StoreError as error:
        return [f"{error.path}: {error}" if error.path else str(error)]
    finally:
        database.close()


def _damage(connection: Connection) -> list[str]:
    if connection.dialect.name != "sqlite":
        return []
    told = connection.exec_driver_sql(f"PRAGMA integrity_check({MAX_FINDINGS})").scalars().all()
    findings = [f"damaged: {line}" for line in told if line != "ok"]
    for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MAX_FINDINGS):
        findings.append(f"row {row} of {table} refers to a row of {parent} that does not exist")
    return findings


def _state(connection: Connection) -> list[str]:
    revision = stored_revision(connection)
    if revision is None:
        return ["this is not a database of Genrify Tagger, or it is empty"]
    if revision != HEAD:
        return [
            f"its tables are at revision {revision}, the program expects {HEAD}; the next command upgrades an older one"
        ]
    return []


def _unfinished(journal: Journal) -> list[str]:
    pending = len(journal.pending_changes())
    begun = counted(pending, "change was", "changes were")
    return [f"{begun} begun but not finished; the next run resolves that"] if pending else []


def _pragma(connection: Connection, name: str) -> int:
    value: int = connection.exec_driver_sql(f"PRAGMA {name}").scalars().one()
    return value
