"""Copy a library of `scale_library` from its SQLite file to a PostgreSQL server, as fast as that takes rows."""

from __future__ import annotations

import sqlite3
import sys

import psycopg

from genrify_tagger.store import open_store
from genrify_tagger.store.tables import METADATA

_INDEXES = (  # but those of constraints
    "SELECT indexname, indexdef FROM pg_indexes LEFT JOIN pg_constraint ON conname = indexname "
    "WHERE conname IS NULL AND schemaname = current_schema() AND tablename = ANY(%s)"
)
_IDS = "SELECT setval(pg_get_serial_sequence('{0}', 'id'), max(id)) FROM {0}"


def fill(file: str, url: str) -> None:
    """Copy all rows to an empty database; values are stored alike but for times, which SQLite has without a zone."""
    with open_store(f"sqlite:///{file}"), open_store(url):
        pass  # both are of the newest revision now
    tables = METADATA.sorted_tables
    with psycopg.connect(url.replace("+psycopg", "")) as server:
        server.execute("SET TIME ZONE 'UTC'; SET maintenance_work_mem = '256MB'; SET synchronous_commit = off")
        indexes = server.execute(_INDEXES, [[table.name for table in tables]]).fetchall()
        for name, _ in indexes:
            server.execute(f"DROP INDEX {name}")
        for table in tables:
            columns = ", ".join(f'"{column.name}"' for column in table.columns)
            rows = sqlite3.connect(f"file:{file}?mode=ro", uri=True).execute(f"SELECT {columns} FROM {table.name}")
            with server.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            if table.autoincrement_column is not None:
                server.execute(_IDS.format(table.name))
            print(f"copied {table.name}", file=sys.stderr)
        for _, definition in indexes:
            server.execute(definition)
        server.commit()
        server.autocommit = True
        server.execute("VACUUM ANALYZE")
