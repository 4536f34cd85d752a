"""SQLite files in trouble: many processes, kills, full disks, damage, missing permission."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from genrify_tagger.errors import StoreCorruptError, StoreError, StoreNewerError
from genrify_tagger.store import FileRecord, check, open_store
from genrify_tagger.store.connect import Database, parse_url
from genrify_tagger.store.migrate import bring_up_to_date
from tests.media import in_ci
from tests.store_databases import NOBODY, ROOT, sqlite_url

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0 and not in_ci(), reason="needs root")


def task(*arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store_tasks", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, **pipes, **options)


def told(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""
    return output.strip()


def rows(database: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(statement).fetchall()


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can reach, unlike pytest's."""
    folder = Path(tempfile.mkdtemp(prefix="genrify-test-"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


class TestOpening:
    def test_creates_folder_and_file(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path / "a" / "b")) as store:
            assert store.counts() == {}
        assert [found.name for found in (tmp_path / "a" / "b").iterdir()] == ["genrify.db"]

    def test_an_empty_file_is_a_new_database(self, tmp_path: Path) -> None:
        (tmp_path / "genrify.db").touch()
        with open_store(sqlite_url(tmp_path)) as store:
            assert store.counts() == {}

    def test_home_is_understood(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        open_store("sqlite:///~/music.db").close()
        assert (tmp_path / "music.db").exists()

    @pytest.mark.parametrize("name", ["what? 100% #1.db", "caf\udce9.db", "new\nline.db"])
    def test_a_path_may_have_any_name(self, tmp_path: Path, name: str) -> None:
        with open_store(str(tmp_path / name)) as store:
            store.start_run("scan")
            store.backup(str(tmp_path / f"copy of {name}"))
        assert sorted(os.listdir(tmp_path)) == sorted([name, f"copy of {name}"])
        assert check(str(tmp_path / name)) == []

    def test_pragmas(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path)) as store:
            with store.read() as connection:
                found = [pragma(connection, name) for name in ("journal_mode", "foreign_keys", "busy_timeout")]
            with store.write() as cache:
                assert pragma(cache, "synchronous") == 1  # NORMAL
            with store.write(durable=True) as journal:
                assert pragma(journal, "synchronous") == 2  # FULL
        assert found == ["wal", 1, 30_000]

    def test_network_file_systems_get_a_rollback_journal(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        open_store(url).close()
        database = Database(parse_url(url))
        database.network = True
        database.choose_journal_mode()
        database.close()
        assert rows(tmp_path / "genrify.db", "PRAGMA journal_mode") == [("delete",)]
        open_store(url).close()
        assert rows(tmp_path / "genrify.db", "PRAGMA journal_mode") == [("wal",)]

    def test_alembic_is_imported_only_to_migrate(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        for _ in ("created", "opened"):
            assert "alembic" not in told(task("modules", url)).split()
        (tmp_path / "genrify.db").unlink()
        with closing(Database(parse_url(url))) as older:
            bring_up_to_date(older, head="0006")
        assert "alembic" in told(task("modules", url)).split()

    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("sqlite://", "must be a file"),
            ("sqlite:///:memory:", "must be a file"),
            ("sqlite:///file:x.db?uri=true", "must be a file"),
            ("mysql://u:secret@h/d", "'mysql' are not supported"),
            ("u:secret@h", "not a valid database URL"),
            ("", "not a valid database URL"),
            ("oracle+nonsense://u:secret@h/d", "are not supported"),
            ("postgresql+nonsense://u:secret@h/d", "is not installed"),
        ],
    )
    def test_invalid_urls(self, url: str, words: str) -> None:
        with pytest.raises(StoreError, match=words) as raised:
            open_store(url)
        assert "secret" not in str(raised.value)

    def test_an_unreachable_server_is_reported_without_its_password(self) -> None:
        pytest.importorskip("psycopg")
        with pytest.raises(StoreError, match="cannot be used") as raised:
            open_store("postgresql://tagger:secret@127.0.0.1:1/music?connect_timeout=2&password=secret2")
        assert "secret" not in str(raised.value)
        assert "postgresql://tagger:***@127.0.0.1:1/music" in str(raised.value)


class TestProcesses:
    def test_two_processes_and_this_one_hammer_a_database(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        processes = [task("hammer", url, name, 60) for name in ("one", "two")]
        with open_store(url) as store:
            while any(process.poll() is None for process in processes):
                store.save_files([FileRecord(path="/here", status="kept")])
                assert len(list(store.paths_under("/music"))) <= 120
        assert [told(process) for process in processes] == ["", ""]
        with open_store(url) as store:
            assert store.counts("/music") == {"tagged": 120}
            assert store.pending_changes(abandoned=False) == []
            assert len(list(store.changes())) == 120
        assert check(url) == []

    def test_many_processes_create_one_database(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        processes = [task("hammer", url, str(number), 3) for number in range(5)]
        assert [told(process) for process in processes] == [""] * 5
        with open_store(url) as store:
            assert store.counts() == {"tagged": 15}
        assert [found.name for found in tmp_path.iterdir()] == ["genrify.db"]

    def test_killed_in_the_middle_of_a_transaction(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        process = task("die", url)
        assert process.stdout is not None
        assert process.stdout.readline() == "killme\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        with open_store(url) as store:
            assert [change.path for change in store.pending_changes()] == ["/music/a.mp3"]
            assert store.audio_keys("m", "f") == []
            store.finish_change(store.pending_changes()[0].id, "failed", error="interrupted")
        assert check(url) == []

    def test_locked_for_too_long(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        with open_store(f"{url}?timeout=0.1") as store, closing(sqlite3.connect(tmp_path / "genrify.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.counts() == {}  # reading goes on
            with pytest.raises(StoreError, match="another program has locked the database"):
                store.start_run("scan")
            other.rollback()
            assert store.start_run("scan") == 1


class TestFullDisk:
    def test_files_may_not_grow(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        open_store(url).close()
        kept, kind, words = told(task("fill", url, 2_000_000)).split(" ", 2)
        assert int(kept) > 3
        assert kind == "StoreError"
        assert "disk" in words
        with open_store(url) as store:
            assert store.counts() == {"failed": int(kept)}
        assert check(url) == []

    @ROOT_ONLY
    def test_disk_is_full(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path / "small")
        (tmp_path / "small").mkdir()
        script = f"mount -t tmpfs -o size=3m none '{tmp_path}/small' && exec \"$@\" && true"
        show = (
            f"{sys.executable} -m tests.store_tasks fill {url} 0 && {sys.executable} -m tests.store_tasks counts {url}"
        )
        done = subprocess.run(
            ["unshare", "-m", "sh", "-c", script, "sh", "sh", "-c", show],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if "not permitted" in done.stderr and not in_ci():
            pytest.skip("root may not mount here")
        assert done.stderr == ""
        first, second = done.stdout.splitlines()
        kept, kind, words = first.split(" ", 2)
        assert int(kept) > 3
        assert (kind, words) == (
            "StoreError",
            "no space left for the database; free some space, then run it again",
        )
        assert second == f"{{'failed': {kept}}} []"


class TestPermission:
    @pytest.fixture
    def database(self, open_to_all: Path) -> Path:
        folder = open_to_all / "data"
        open_store(sqlite_url(folder)).close()
        return folder / "genrify.db"

    def refusal(self, database: Path) -> str:
        environment = dict(os.environ)
        if os.geteuid() == 0:
            environment["TASK_UID"] = str(NOBODY)
        return told(task("refuse", sqlite_url(database.parent), env=environment))

    def test_read_only_folder(self, database: Path) -> None:
        database.parent.chmod(0o555)
        database.chmod(0o666)
        assert self.refusal(database) == (
            f"StoreError {database}: the database cannot be written: its folder is read-only; "
            "name another file with --database, GENRIFY_DATABASE__URL or the setting database.url"
        )

    def test_read_only_file(self, database: Path) -> None:
        database.parent.chmod(0o777)
        database.chmod(0o444)
        assert "cannot be written: it is read-only" in self.refusal(database)

    def test_unreadable_file(self, database: Path) -> None:
        database.parent.chmod(0o777)
        database.chmod(0)
        assert "cannot be read: no permission" in self.refusal(database)

    def test_folder_that_cannot_be_created(self, open_to_all: Path) -> None:
        open_to_all.chmod(0o555)
        words = self.refusal(open_to_all / "new" / "genrify.db")
        assert words.startswith(
            f"StoreError {open_to_all}/new: the database's folder cannot be created: permission denied"
        )

    def test_a_folder_instead_of_a_database(self, tmp_path: Path) -> None:
        (tmp_path / "genrify.db").mkdir()
        with pytest.raises(StoreError, match="is a folder"):
            open_store(sqlite_url(tmp_path))

    def test_a_file_instead_of_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="cannot be created"):
            open_store(sqlite_url(tmp_path / "file"))

    def test_the_database_vanishes(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path / "data")) as store:
            shutil.rmtree(tmp_path / "data")
            with pytest.raises(StoreError, match="was moved or deleted while in use"):
                store.start_run("scan")


class TestDamage:
    def test_a_text_file_instead_of_a_database(self, tmp_path: Path) -> None:
        file = tmp_path / "genrify.db"
        file.write_text("Dear diary, " * 1000)
        with pytest.raises(StoreCorruptError, match="genrify-tag db check") as raised:
            open_store(sqlite_url(tmp_path))
        assert raised.value.path == str(file)
        assert "damaged or is not a database" in str(raised.value)
        assert file.read_text() == "Dear diary, " * 1000
        assert check(sqlite_url(tmp_path))[0].startswith(f"{file}: the file is damaged")

    def test_damaged_pages(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        with open_store(url) as store:
            store.save_files(FileRecord(path=f"/music/{number:06}", status="tagged") for number in range(2000))
        file = tmp_path / "genrify.db"
        data = bytearray(file.read_bytes())
        data[4096 * 20 :] = b"\xaa" * (len(data) - 4096 * 20)
        file.write_bytes(data)
        assert any("damaged" in finding for finding in check(url))
        with pytest.raises(StoreCorruptError, match="damaged"), open_store(url) as store:
            list(store.files_under())

    def test_cut_short(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        with open_store(url) as store:
            store.save_files(FileRecord(path=f"/music/{number:06}", status="tagged") for number in range(2000))
        os.truncate(tmp_path / "genrify.db", 4096 * 30)
        assert check(url) != []
        with pytest.raises(StoreCorruptError), open_store(url) as store:
            list(store.files_under())

    def test_a_newer_database_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        url, file = sqlite_url(tmp_path), tmp_path / "genrify.db"
        open_store(url).close()
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE genrify_version SET version_num = '9999'")
            connection.commit()
        with pytest.raises(StoreNewerError, match="written by a newer Genrify Tagger; upgrade the program"):
            open_store(url)
        assert rows(file, "SELECT version_num FROM genrify_version") == [("9999",)]
        assert "revision 9999" in check(url)[0]

    def test_a_database_of_another_program_is_refused_and_left_alone(self, tmp_path: Path) -> None:
        file = tmp_path / "genrify.db"
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE items (id INTEGER)")
        with pytest.raises(StoreError, match="belongs to another program"):
            open_store(sqlite_url(tmp_path))
        assert rows(file, "SELECT name FROM sqlite_master") == [("items",)]
        assert check(sqlite_url(tmp_path)) == ["this is not a database of Genrify Tagger, or it is empty"]

    def test_check_names_a_missing_file_and_creates_none(self, tmp_path: Path) -> None:
        assert check(sqlite_url(tmp_path)) == [f"no database at {tmp_path}/genrify.db"]
        assert list(tmp_path.iterdir()) == []

    def test_check_finds_broken_references(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path)
        with open_store(url) as store:
            run = store.start_run("scan")
            change = store.begin_change(run=run, path="/a", field="genre", before=None, after=b"", origin="scan")
            store.finish_change(change, "done")
        with closing(sqlite3.connect(tmp_path / "genrify.db")) as connection:
            connection.execute("DELETE FROM runs")
            connection.commit()
        assert check(url) == ["row 1 of changes refers to a row of runs that does not exist"]


class TestBackup:
    def test_a_backup_is_a_database_in_one_file(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path)) as store:
            store.save_files([FileRecord(path="/a", status="tagged")])
            store.backup(str(tmp_path / "copies.db"))
            store.save_files([FileRecord(path="/b", status="tagged")])
        assert sorted(found.name for found in tmp_path.iterdir()) == ["copies.db", "genrify.db"]
        assert (tmp_path / "copies.db").stat().st_mode & stat.S_IRUSR
        with open_store(sqlite_url(tmp_path, "copies.db")) as copy:
            assert copy.counts() == {"tagged": 1}

    def test_nothing_is_overwritten(self, tmp_path: Path) -> None:
        (tmp_path / "precious").write_text("precious")
        with open_store(sqlite_url(tmp_path)) as store:
            with pytest.raises(StoreError, match="the file exists"):
                store.backup(str(tmp_path / "precious"))
            with pytest.raises(StoreError, match="exists"):
                store.backup(str(tmp_path / "genrify.db"))
        assert (tmp_path / "precious").read_text() == "precious"
        assert sorted(found.name for found in tmp_path.iterdir()) == ["genrify.db", "precious"]

    def test_nowhere_to_write(self, tmp_path: Path) -> None:
        with (
            open_store(sqlite_url(tmp_path)) as store,
            pytest.raises(StoreError, match="backup cannot be written: no such file or directory"),
        ):
            store.backup(str(tmp_path / "none" / "copy.db"))

    def test_no_space_for_the_copy(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path)) as store:
            store.save_files(FileRecord(path=f"/{number}", status="failed", error="x" * 5000) for number in range(100))
        copy = tmp_path / "copy.db"
        assert told(task("backup", sqlite_url(tmp_path), copy, 100_000)) == f"{copy}: no space left for the backup"
        assert [found.name for found in tmp_path.iterdir()] == ["genrify.db"]

    def test_pruning_gives_space_back(self, tmp_path: Path) -> None:
        with open_store(sqlite_url(tmp_path)) as store:
            paths = [f"/{number}" for number in range(500)]
            store.save_files(FileRecord(path=path, status="failed", error="x" * 5000) for path in paths)
            store.mark_missing(paths)
            assert store.prune() == {"files": 500, "analyses": 0}
        assert (tmp_path / "genrify.db").stat().st_size < 200_000
