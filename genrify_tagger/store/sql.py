"""Helpers for SQL statements."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Insert, Table, and_
from sqlalchemy.dialects import sqlite

from genrify_tagger.files import with_separator

Item = TypeVar("Item")

PAGE = 500  # rows held in memory while streaming, and values in one statement


def in_batches(items: Iterable[Item], size: int = PAGE) -> Iterator[list[Item]]:
    """Split `items` into lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def below(path: ColumnElement[str], folder: str) -> ColumnElement[bool]:
    """Return the condition that a path lies below `folder`, as a range of bytes that can use an index."""
    return and_(path >= with_separator(folder), path < end_of(folder))


def end_of(folder: str) -> str:
    """Return the first path in order of bytes that comes after everything in `folder`."""
    beginning = with_separator(folder)
    return beginning[:-1] + chr(ord(beginning[-1]) + 1)


def upsert(connection: Connection, table: Table) -> Insert:
    """Return an INSERT of whole rows into `table` that replaces rows with the same primary key."""
    return _upsert(connection.dialect.name, table)


@cache  # building it costs more than running it
def _upsert(dialect: str, table: Table) -> Insert:
    statement = sqlite.insert(table) if dialect == "sqlite" else _postgresql_insert(table)
    keys = {column.name for column in table.primary_key}
    changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)


def _postgresql_insert(table: Table) -> Any:
    from sqlalchemy.dialects import postgresql  # which loads asyncio

    return postgresql.insert(table)


def as_row(record: Any, table: Table) -> dict[str, Any]:
    """Return the fields of a dataclass that are columns of `table`."""
    return {column.name: getattr(record, column.name) for column in table.columns}
