"""Bring the schema to the revision this program knows; Alembic is imported only if it differs."""

from __future__ import annotations

import importlib.resources
import os
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from genrify_tagger.errors import StoreCorruptError, StoreError, StoreNewerError
from genrify_tagger.store.connect import Database
from genrify_tagger.store.copying import copy_sqlite
from genrify_tagger.store.db_errors import DAMAGED, ELSEWHERE, shown
from genrify_tagger.store.models import Base

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0002"  # the newest revision in migrations/versions; a test holds the two together
VERSION_TABLE = "genrify_version"
SCRIPTS = "genrify_tagger.migrations"

# Alembic keeps its context in module globals.
_alembic_turn = threading.Lock()


def bring_up_to_date(database: Database, *, head: str = HEAD, scripts: str | None = None) -> None:
    """Create or migrate the schema unless it is at `head` already.

    Parameters
    ----------
    database : Database
    head : str
        The revision wanted.
    scripts : str or None
        Folder of an Alembic environment instead of the shipped one.

    Raises
    ------
    StoreNewerError
        If the database is at a revision that this program does not know.
    StoreError
        If it belongs to another program, or cannot be migrated.
    """
    with database.read() as connection:
        if stored_revision(connection) == head:
            return
    with _alembic_turn, database.migrating() as connection:
        revision = stored_revision(connection)
        if revision == head:
            return  # another process was quicker
        _refuse_foreign(connection, database, revision)
        config = _config(connection, scripts or str(importlib.resources.files(SCRIPTS)))
        _refuse_newer(config, database, revision)
        if revision is not None and database.is_sqlite:
            copy_sqlite(database.file, _name_of_copy(database.file, revision))
        _upgrade(config, head)
        _check_references(connection, database)


def stored_revision(connection: Connection) -> str | None:
    """Return the revision that the database is at, None if it has no schema of ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _refuse_foreign(connection: Connection, database: Database, revision: str | None) -> None:
    if revision is not None:
        return
    present = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    if not database.is_sqlite:  # a server's database may be shared, as long as no names collide
        present &= set(Base.metadata.tables)
    if present:
        raise StoreError(f"{_called(database)} belongs to another program", path=_path(database), hint=ELSEWHERE)


def _refuse_newer(config: Config, database: Database, revision: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreNewerError(
            f"{_called(database)} was written by a newer Genrify Tagger",
            path=_path(database),
            hint=f"upgrade the program, or {ELSEWHERE}",
        )


def _config(connection: Connection, scripts: str) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    return config


def _upgrade(config: Config, head: str) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(config, head)
    except CommandError as error:
        raise StoreError(f"the database cannot be migrated: {error}") from error


def _check_references(connection: Connection, database: Database) -> None:
    """Hold a migration to SQLite's foreign keys, which are off while it rebuilds tables."""
    if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise StoreCorruptError("records lack what they refer to", path=database.file, hint=DAMAGED)


def _path(database: Database) -> str | None:
    return database.file if database.is_sqlite else None


def _called(database: Database) -> str:
    return "the database" if database.is_sqlite else f"the database at {shown(database.url)}"


def _name_of_copy(file: str, revision: str) -> str:
    name = f"{file}.before-upgrade-from-{revision}"
    return f"{name}.{time.time_ns()}" if os.path.lexists(name) else name
