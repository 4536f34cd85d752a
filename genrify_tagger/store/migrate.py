"""Create the schema, or migrate it to the revision that this program needs; only that imports Alembic."""

from __future__ import annotations

import importlib.resources
import os
import threading
import time
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, inspect, text

from genrify_tagger.errors import StoreCorruptError, StoreError, StoreNewerError
from genrify_tagger.store.connect import Database
from genrify_tagger.store.db_errors import RESTORE, USE_ANOTHER, shown
from genrify_tagger.store.sqlite_backup import copy_sqlite
from genrify_tagger.store.tables import METADATA

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"  # the newest revision in migrations/versions; a test checks that they agree
VERSION_TABLE = "genrify_version"
SCRIPTS = "genrify_tagger.migrations"

# Alembic keeps its context in module globals, so only one migration may run at a time.
_alembic_lock = threading.Lock()


def bring_up_to_date(database: Database, *, head: str = HEAD, scripts: str | None = None) -> None:
    """Create the schema, or migrate it unless it is at `head` already.

    Parameters
    ----------
    database : Database
    head : str
        The required revision.
    scripts : str or None
        Folder of an Alembic environment to run from the first revision on. By default the shipped one migrates a
        database of an older revision, and an empty one gets the present tables at once.

    Raises
    ------
    StoreNewerError
        If the database is at a revision unknown to this program.
    StoreError
        If it belongs to another program, or cannot be migrated.
    """
    with database.read() as connection:
        if stored_revision(connection) == head:
            return
    with database.migrating() as connection:
        migrate(connection, database, head=head, scripts=scripts)
        check_references(connection, database)


def migrate(connection: Connection, database: Database, *, head: str = HEAD, scripts: str | None = None) -> None:
    """Do the same as `bring_up_to_date`, within a transaction of `database.migrating`."""
    revision = stored_revision(connection)
    if revision == head:
        return  # another process has done it meanwhile
    _refuse_foreign(connection, database, revision)
    if revision is None and scripts is None and head == HEAD:
        _create(connection)
        return
    config = _config(connection, scripts or str(importlib.resources.files(SCRIPTS)))
    _refuse_newer(config, database, revision)
    if revision is not None and database.is_sqlite:
        copy_sqlite(database.file, _copy_path(database.file, revision))
    with _alembic_lock:
        _upgrade(config, head)


def _create(connection: Connection) -> None:
    """Create the tables that all migrations together would create; importing Alembic takes longer than that."""
    METADATA.create_all(connection)
    name = f"{VERSION_TABLE}_pkc"  # as Alembic names it
    version = Table(
        VERSION_TABLE,
        MetaData(),
        Column("version_num", String(32), nullable=False),
        PrimaryKeyConstraint("version_num", name=name),
    )
    version.create(connection)
    connection.execute(insert(version).values(version_num=HEAD))


def stored_revision(connection: Connection) -> str | None:
    """Return the revision of the database; None if it has no schema of this program."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _refuse_foreign(connection: Connection, database: Database, revision: str | None) -> None:
    if revision is not None:
        return
    present = set(inspect(connection).get_table_names()) - {VERSION_TABLE}
    if not database.is_sqlite:  # other programs may share a server's database if no table names collide
        present &= set(METADATA.tables)
    if present:
        raise StoreError(
            f"{_database_name(database)} belongs to another program", path=_file_of(database), hint=USE_ANOTHER
        )


def _refuse_newer(config: Config, database: Database, revision: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreNewerError(
            f"{_database_name(database)} was written by a newer Genrify Tagger",
            path=_file_of(database),
            hint=f"upgrade the program, or {USE_ANOTHER}",
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


def check_references(connection: Connection, database: Database) -> None:
    """Check SQLite's foreign keys, which are off within `database.migrating`."""
    if database.is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise StoreCorruptError("some records refer to missing ones", path=database.file, hint=RESTORE)


def _file_of(database: Database) -> str | None:
    return database.file if database.is_sqlite else None


def _database_name(database: Database) -> str:
    return "the database" if database.is_sqlite else f"the database at {shown(database.url)}"


def _copy_path(file: str, revision: str) -> str:
    name = f"{file}.before-upgrade-from-{revision}"
    return f"{name}.{time.time_ns()}" if os.path.lexists(name) else name
