"""Copy a library, all its tables and ids, into an empty database of either kind, and compare both row by row."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, func, insert, inspect, select, text

from genrify_tagger.errors import StoreError
from genrify_tagger.store.claims import server_time
from genrify_tagger.store.connect import Database, create_folder, parse_url
from genrify_tagger.store.db_errors import describe_db_error
from genrify_tagger.store.migrate import check_references, migrate
from genrify_tagger.store.postgres import identity, references_checked_at_end, stay_idle
from genrify_tagger.store.runs import RUN_ROWS, RUNNING, as_run
from genrify_tagger.store.sql import PAGE
from genrify_tagger.store.tables import METADATA, RUNS

TABLES = METADATA.sorted_tables
Progress = Callable[[str, int, int], None]  # name of a table, its rows copied so far, all its rows


def copy_library(source: Database, url: str, progress: Progress, *, dry_run: bool = False) -> dict[str, int]:
    """Copy every table into another database, in one transaction, and read each row back.

    Nothing can be written to the source meanwhile. New ids at the target continue after those of the source.

    Parameters
    ----------
    source : Database
        An open store.
    url : str
        The target: an SQLite file that does not exist yet, or an empty database.
    progress : callable
        Called after each batch.
    dry_run : bool
        Only do the checks, and count.

    Returns
    -------
    dict of str to int
        Number of rows by table.

    Raises
    ------
    StoreError
        If a run is writing to the source, if the target holds something, or if either cannot be used.
    """
    target = Database(parse_url(url))
    is_new = target.is_sqlite and not os.path.exists(target.file)
    if is_new and not dry_run:
        create_folder(target.file)
    try:
        with source.write() as old:
            if not source.is_sqlite:
                stay_idle(old)  # while the target works
            _refuse_running(old, source)
            if not is_new:
                _refuse_same(old, source, target)
                _refuse_filled(target)
            counts = {table.name: _count(old, table) for table in TABLES}
            if not dry_run:
                _copy_tables(old, source, target, counts, progress)
        if not dry_run:
            target.choose_journal_mode()
    except BaseException:
        if is_new:
            _remove(target)
        raise
    finally:
        target.close()
    return counts


def _refuse_same(old: Connection, source: Database, target: Database) -> None:
    if source.is_sqlite != target.is_sqlite:
        return
    if source.is_sqlite:
        is_same = os.path.samefile(source.file, target.file)
    else:
        with target.read() as new:
            is_same = identity(old) == identity(new)
    if is_same:
        raise StoreError(f"{target.name} is the database to copy", hint="name another one")


def _refuse_running(old: Connection, source: Database) -> None:
    now = server_time(old)
    rows = old.execute(RUN_ROWS.where(RUNS.c.status == RUNNING).order_by(RUNS.c.id)).mappings()
    active = [run for run in (as_run(row, now) for row in rows) if run.status == RUNNING]
    if active:
        raise StoreError(
            f"run {active[0].id} (genrify-tag {active[0].command}) is still writing to {source.name}",
            hint="wait until it ends, or stop it",
        )


def _refuse_filled(target: Database) -> None:
    with target.read() as new:
        present = set(inspect(new).get_table_names())
        filled = [table.name for table in TABLES if table.name in present and _has_rows(new, table.name)]
    if filled:
        what = f"{target.name} is not empty: its table {filled[0]} has rows"
        raise StoreError(what, hint="name an empty database, or a file that does not exist")


def _has_rows(new: Connection, table: str) -> bool:
    return new.exec_driver_sql(f"SELECT 1 FROM {table} LIMIT 1").first() is not None


def _copy_tables(
    old: Connection, source: Database, target: Database, counts: Mapping[str, int], progress: Progress
) -> None:
    with target.migrating() as new:
        migrate(new, target)
        with contextlib.nullcontext() if target.is_sqlite else references_checked_at_end(new, list(counts)):
            for table in TABLES:
                done = 0
                for rows in _batches(old, source, table):
                    new.execute(insert(table), rows)
                    _compare(new, table, rows)
                    done += len(rows)
                    progress(table.name, done, counts[table.name])
                _continue_ids(old, new, table)
                if _count(new, table) != done:
                    raise StoreError(f"the copy of {table.name} has {_count(new, table)} rows instead of {done}")
                if not target.is_sqlite:
                    new.exec_driver_sql(f"ANALYZE {table.name}")  # or the first queries would read whole tables
        check_references(new, target)


def _batches(old: Connection, source: Database, table: Table) -> Iterator[list[dict[str, Any]]]:
    """Stream the rows of a table, its text as both databases accept it."""
    with describe_db_error(source.url):
        found = old.execute(select(table).execution_options(yield_per=PAGE))
    while True:
        with describe_db_error(source.url):
            rows = [_plain(row) for row in found.mappings().fetchmany(PAGE)]
        if not rows:
            return
        yield rows


def _plain(row: RowMapping) -> dict[str, Any]:
    # SQLite may hold NUL from before the columns escaped it.
    return {key: value.replace("\0", "\\x00") if isinstance(value, str) else value for key, value in row.items()}


def _compare(new: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Read back rows that were inserted and compare every value."""
    wanted = _by_key(table, rows)
    # By the first column of the key alone: servers look up lists of tuples one by one.
    chosen = next(iter(table.primary_key)).in_({first for first, *_ in wanted})
    found = _by_key(table, new.execute(select(table).where(chosen)).mappings())
    for key, row in wanted.items():
        if key not in found:
            raise StoreError(f"row {key} of {table.name} is missing in the copy")
        if different := [name for name, value in row.items() if found[key][name] != value]:
            raise StoreError(f"row {key} of {table.name} differs in the copy, in {', '.join(different)}")


def _by_key(table: Table, rows: Iterable[Mapping[Any, Any]]) -> dict[tuple[Any, ...], Mapping[Any, Any]]:
    return {tuple(row[key.name] for key in table.primary_key): row for row in rows}


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _continue_ids(old: Connection, new: Connection, table: Table) -> None:
    """Have new ids at the target continue after the last one that the source ever gave, even if its row is gone."""
    column = table.autoincrement_column
    if column is None:
        return
    last = max(_last_id(old, table), old.execute(select(func.max(column))).scalar() or 0)
    if not last:
        return
    if new.dialect.name == "sqlite":
        names = {"name": table.name, "last": last}
        if not new.execute(text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name"), names).rowcount:
            new.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), names)
    else:
        new.execute(text("SELECT setval(:sequence, :last)"), {"sequence": _sequence(new, table), "last": last})


def _last_id(old: Connection, table: Table) -> int:
    if old.dialect.name == "sqlite":
        found = old.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name}).scalar()
        return int(found or 0)
    last, is_called = old.exec_driver_sql(f"SELECT last_value, is_called FROM {_sequence(old, table)}").one()
    return int(last) if is_called else 0


def _sequence(connection: Connection, table: Table) -> str:
    column = table.autoincrement_column
    assert column is not None
    find = text("SELECT pg_get_serial_sequence(:name, :column)")
    return str(connection.execute(find, {"name": table.name, "column": column.name}).scalar_one())


def _remove(target: Database) -> None:
    target.close()
    for suffix in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(target.file + suffix)
