"""Migrations: tables and revisions agree, data survives every step, and processes do not race."""

from __future__ import annotations

import re
import shutil
import sqlite3
import time
import warnings
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import JSON, Column, Connection, MetaData, func, insert, inspect, select

from genrify_tagger.errors import StoreError, StoreNewerError
from genrify_tagger.song_groups import album_key, artist_key
from genrify_tagger.store import Store, TrackFilter, check, open_store
from genrify_tagger.store.connect import parse_url
from genrify_tagger.store.migrate import HEAD, SCRIPTS, VERSION_TABLE, bring_up_to_date, stored_revision
from genrify_tagger.store.tables import FILES, METADATA
from tests.store_databases import BACKENDS, new_postgres_url, new_url, sqlite_url
from tests.test_store_sqlite import rows, task, told

UNREFLECTED = "Skipped unsupported reflection of expression-based index"
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{UNREFLECTED}"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]

LATER = '''"""A later revision.

Revision ID: 9999
Revises: {previous}
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "9999", "{previous}"


def upgrade():
    with op.batch_alter_table("runs") as batch:
        batch.add_column(sa.Column("note", sa.Text(), nullable=False, server_default="none"))
        batch.alter_column("command", existing_type=sa.String(), type_=sa.Text())
    {extra}
'''
SAMPLES = {bool: True, int: 1, str: "1", bytes: b"1", float: 1.0, datetime: datetime(2026, 1, 1, tzinfo=UTC)}


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path / "data")


def shipped() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(files(SCRIPTS)))
    return ScriptDirectory.from_config(config)


def revisions() -> list[str]:
    return [script.revision for script in shipped().walk_revisions()][::-1]


def later_scripts(folder: Path, extra: str = "") -> str:
    """Copy the shipped environment and add one more revision."""
    scripts = folder / "100% other scripts"
    shutil.copytree(str(files(SCRIPTS)), scripts)
    (scripts / "versions" / "9999_later.py").write_text(LATER.format(previous=HEAD, extra=extra))
    return str(scripts)


def migrated(url: str, head: str, scripts: str | None = None) -> Store:
    """Open a database at a chosen revision, reached from the first one on."""
    if url.startswith("sqlite"):
        Path(str(parse_url(url).database)).parent.mkdir(exist_ok=True)
    store = Store(parse_url(url))
    store.choose_journal_mode()
    try:
        bring_up_to_date(store, head=head, scripts=scripts or str(files(SCRIPTS)))
    except StoreError:
        store.close()
        raise
    return store


def reflected(connection: Connection) -> MetaData:
    metadata = MetaData()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", UNREFLECTED)
        metadata.reflect(connection)
    return metadata


def sample(column: Column[object]) -> object:
    return {} if isinstance(column.type, JSON) else SAMPLES[column.type.python_type]


def fill_empty_tables(connection: Connection) -> None:
    """Put one row into each table that has none, whatever its columns are."""
    for table in reflected(connection).sorted_tables:
        if table.name != VERSION_TABLE and connection.execute(select(table)).first() is None:
            needed = [column for column in table.columns if not column.nullable]
            connection.execute(insert(table), {column.name: sample(column) for column in needed})


def count_rows(connection: Connection) -> dict[str, int]:
    tables = reflected(connection).tables.values()
    return {table.name: connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables}


def test_head_is_the_newest_revision() -> None:
    assert shipped().get_heads() == [HEAD]


def test_models_and_migrations_agree(url: str) -> None:
    with migrated(url, HEAD) as store, store.read() as connection:
        options = {
            "compare_type": True,
            "include_name": lambda name, kind, parents: name != VERSION_TABLE,
            # SQLAlchemy cannot reflect indexes of expressions; the next test compares them.
            "include_object": lambda item, name, kind, *_: kind != "index" or not name.startswith("ix_files_by_"),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, METADATA) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_new_database_is_as_if_migrated(backend: str, tmp_path: Path) -> None:
    def schema(store: Store) -> object:
        with store.read() as connection:
            if store.is_sqlite:
                master = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master").all()
                return {name: " ".join((sql or "").split()) for name, sql in master}
            found = inspect(connection)
            names = sorted(found.get_table_names())
            getters = ("get_columns", "get_pk_constraint", "get_foreign_keys", "get_indexes", "get_check_constraints")
            return {name: [repr(getattr(found, getter)(name)) for getter in getters] for name in names}

    with (
        migrated(new_url(backend, tmp_path / "old"), HEAD) as old,
        open_store(new_url(backend, tmp_path / "new")) as new,
    ):
        assert schema(new) == schema(old)
        with old.read() as first, new.read() as second:
            assert stored_revision(first) == stored_revision(second) == HEAD


@pytest.mark.parametrize("revision", revisions())
def test_data_survives_from_every_revision(url: str, tmp_path: Path, revision: str) -> None:
    with migrated(url, revision) as store, store.write() as connection:
        fill_empty_tables(connection)
        before = count_rows(connection)
    for head, scripts in ((HEAD, None), ("9999", later_scripts(tmp_path))):
        with migrated(url, head, scripts) as store, store.read() as connection:
            after = count_rows(connection)
            assert stored_revision(connection) == head
            assert {table: after[table] for table in before} == before
    with pytest.raises(StoreNewerError):
        open_store(url)


def test_artists_and_albums_of_known_files_are_keyed_as_a_scan_keys_them(url: str) -> None:
    names = [("The Beatles", "Help!"), ("Sigur Rós", ""), ("Various Artists", "Hits"), ("", "")]
    with migrated(url, "0005") as store, store.write() as connection:
        files = MetaData()
        files.reflect(connection, only=["files"])
        table = files.tables["files"]
        needed = [c for c in table.columns if not c.nullable]
        for number, (artist, album) in enumerate(names):
            row = {c.name: {} if isinstance(c.type, JSON) else SAMPLES[c.type.python_type] for c in needed}
            path = f"/music/{number}.mp3".encode()
            connection.execute(insert(table), {**row, "path": path, "title": "x", "artist": artist, "album": album})
    with migrated(url, HEAD) as store:
        found = store.files(f"/music/{number}.mp3" for number in range(4))
    keys = [(found[path].artist_key, found[path].album_key) for path in sorted(found)]
    assert keys == [("beatles", "beatles/help"), ("sigurros", ""), ("", ""), ("", "")]
    tags = [{"artist": artist, "album": album} for artist, album in names[:2]]
    assert keys[:2] == [(artist_key(one), album_key(one, "/music/x.mp3")) for one in tags]


def test_margins_are_filled_from_scores(url: str) -> None:
    scores = [{"a": 0.2, "b": 0.7}, {"a": 0.5}, {"a": 0.4, "b": 0.4}, {"a": 0.0}, {}]
    with migrated(url, "0008") as store, store.write() as connection:
        files = MetaData()
        files.reflect(connection, only=["files"])
        table = files.tables["files"]
        needed = [c for c in table.columns if not c.nullable]
        for number, given in enumerate(scores):
            row = {c.name: {} if isinstance(c.type, JSON) else SAMPLES[c.type.python_type] for c in needed}
            connection.execute(insert(table), {**row, "path": f"/{number}.mp3".encode(), "scores": given})
    with migrated(url, HEAD) as store:
        page = store.browse(TrackFilter(), order="margin")
        with store.read() as connection:
            stored = dict(connection.execute(select(FILES.c.path, FILES.c.margin)).all())
    assert stored == {file.path: file.margin for file in page.files}
    assert [file.path[1] for file in page.files] == ["2", "0", "1", "3", "4"]


def test_a_copy_is_kept_before_an_upgrade(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "data")
    scripts = later_scripts(tmp_path)
    with open_store(url) as store:
        store.start_run("scan")
    assert [found.name for found in (tmp_path / "data").iterdir()] == ["genrify.db"]  # a new one needs none
    migrated(url, "9999", scripts).close()
    copy = tmp_path / "data" / f"genrify.db.before-upgrade-from-{HEAD}"
    assert rows(copy, "SELECT id, command FROM runs") == [(1, "scan")]
    assert rows(tmp_path / "data" / "genrify.db", "SELECT id, command, note FROM runs") == [(1, "scan", "none")]
    with open_store(f"sqlite:///{copy}") as restored:
        assert [run.id for run in restored.runs()] == [1]


def test_a_failing_migration_leaves_everything_as_it_was(url: str, tmp_path: Path) -> None:
    with open_store(url) as store:
        store.start_run("scan")
    broken = later_scripts(tmp_path, 'op.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(StoreError):
        migrated(url, "9999", broken)
    with open_store(url) as store:
        assert [run.command for run in store.runs()] == ["scan"]
    assert check(url) == []


def test_a_migration_may_not_break_references(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "data")
    with open_store(url) as store:
        run = store.start_run("scan")
        store.begin_change(run=run, path="/a", field="genre", before=None, after=b"", origin="scan")
    careless = later_scripts(tmp_path, 'op.execute("DELETE FROM runs")')
    with pytest.raises(StoreError, match="some records refer to missing ones"):
        migrated(url, "9999", careless)
    with open_store(url) as store:
        assert len(list(store.changes())) == 1


def test_starting_processes_do_not_race(url: str, tmp_path: Path) -> None:
    scripts = later_scripts(tmp_path, "import time; time.sleep(0.5)")
    with open_store(url) as store:
        store.start_run("scan")
    start = time.time() + 2
    processes = [task("upgrade", url, "9999", scripts, start) for _ in range(3)]
    assert [told(process) for process in processes] == ["", "", ""]
    if url.startswith("sqlite"):
        copies = [found.name for found in (tmp_path / "data").iterdir() if "before-upgrade" in found.name]
        assert copies == [f"genrify.db.before-upgrade-from-{HEAD}"]
    with migrated(url, "9999", scripts) as store, store.read() as connection:
        assert count_rows(connection)["runs"] == 1


def test_tables_of_other_programs_on_a_shared_server() -> None:
    url = new_postgres_url()
    with Store(parse_url(url)) as bare, bare.write() as connection:
        connection.exec_driver_sql("CREATE TABLE albums (id INTEGER)")
    open_store(url).close()  # no harm in that
    url = new_postgres_url()
    with Store(parse_url(url)) as bare, bare.write() as connection:
        connection.exec_driver_sql("CREATE TABLE files (id INTEGER)")
    with pytest.raises(StoreError, match="belongs to another program"):
        open_store(url)


def test_revisions_import_no_models() -> None:
    for script in shipped().walk_revisions():
        source = Path(script.path).read_text()
        assert not re.search(r"import.*genrify|from genrify", source), f"{script.path} would change with the models"


def test_killed_during_a_migration(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "data")
    scripts = later_scripts(tmp_path, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with open_store(url) as store:
        store.start_run("scan")
    process = task("upgrade", url, "9999", scripts, 0)
    process.communicate()
    assert process.returncode == -9
    with open_store(url) as store:
        assert [run.command for run in store.runs()] == ["scan"]
    with closing(sqlite3.connect(tmp_path / "data" / "genrify.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
