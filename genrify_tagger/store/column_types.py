"""Column types: paths as bytes, file fingerprints, times in UTC, text that every database accepts, tuples."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, LargeBinary, String, Text
from sqlalchemy.types import TypeDecorator

from genrify_tagger.files import FileStat


class PathType(TypeDecorator[str]):
    """A path: `str` with surrogates in Python, the file system's own bytes in the database."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:
        """Encode."""
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Decode."""
        return None if value is None else os.fsdecode(value)


class StatType(TypeDecorator[FileStat]):
    """A fingerprint as text of four decimal numbers.

    Integer columns are too small: inodes are unsigned (and wider than 64 bits on some file systems), and times in
    nanoseconds exceed 63 bits in the year 2262, which a wrong clock easily reaches.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: FileStat | None, dialect: Dialect) -> str | None:
        """Encode."""
        return None if value is None else f"{value.size} {value.mtime_ns} {value.ctime_ns} {value.inode}"

    def process_result_value(self, value: Any, dialect: Dialect) -> FileStat | None:
        """Decode."""
        return None if value is None else FileStat(*map(int, value.split()))


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite stores it without a time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC."""
        if value is None:
            return None
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Make aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainString(TypeDecorator[str]):
    """Names and labels, with characters that a database refuses escaped.

    Those are surrogates (from names that are not UTF-8), which neither database can encode, and NUL in PostgreSQL.
    """

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Escape."""
        return None if value is None else value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


class PlainText(PlainString):
    """The same for longer text, such as error messages."""

    impl = Text
    cache_ok = True


class TupleType(TypeDecorator[tuple[str, ...]]):
    """A tuple of str, stored as a JSON list; None is NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> list[str] | None:
        """Encode."""
        return None if value is None else list(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...] | None:
        """Decode."""
        return None if value is None else tuple(value)
