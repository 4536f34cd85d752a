"""Copying a library into another database: everything arrives, or nothing does."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select

from genrify_tagger.errors import StoreError
from genrify_tagger.files import FileStat
from genrify_tagger.store import FileRecord, Move, Store, check, open_store, url_without_password
from genrify_tagger.store.connect import parse_url
from genrify_tagger.store.migrate import stored_revision
from genrify_tagger.store.tables import FILES, METADATA, RUNS
from tests import media
from tests.store_databases import BACKENDS, new_url, sqlite_url
from tests.test_store import NOT_UTF8, STAT, analysis, begin, changed
from tests.test_store_migrate import fill_empty_tables

ODD = "caf\udce9 \0 ä\u0301 \U0001f3b5 'quoted' \\x00 \r\n\t\u2028"
HUGE = FileStat(size=2**63 + 1, mtime_ns=2**64, ctime_ns=-1, inode=2**70)


def fill(store: Store) -> None:
    """Put rows into every table, with values that are hard to copy."""
    run = store.start_run(ODD, ["scan", ODD], model=ODD)
    first = changed(store, run, NOT_UTF8, audio_key="song", before=b"\0\xff", before_genres=(ODD,), after_genres=())
    undo = changed(store, run, NOT_UTF8, audio_key="song", undoes=first, origin="undo")
    changed(store, run, NOT_UTF8, audio_key="song", undoes=undo, origin="undo")
    begin(store, run, "/pending", stat_before=HUGE, backup=NOT_UTF8)
    store.move_songs([Move(NOT_UTF8, os.fsdecode(b"/\xff\xfe/moved"), "song")])
    store.save_files(
        [
            FileRecord(path="/odd", status="failed", error=ODD, reason=ODD, title=ODD, artist_key=ODD, stat=HUGE),
            FileRecord(path=NOT_UTF8, status="tagged", before=(ODD,), after=("a", ""), scores={ODD: 1e-300}, stat=STAT),
            FileRecord(path="/\n", status="kept", confidence=0.1 + 0.2, missing_since=datetime(2999, 1, 1, tzinfo=UTC)),
        ]
    )
    store.save_files(FileRecord(path=f"/many/{number:04}", status="tagged") for number in range(1100))
    store.save_analysis("song", ODD, "front", analysis())
    store.save_analysis("song", "other model", "front", analysis(1))
    store.save_vocabulary("mine", bytes(range(256)) * 100, in_use=True)
    store.remember_mounts(["/mnt", NOT_UTF8])
    store.finish_run(run, "done", {"tagged": 3})
    store.drop_run(store.start_run("gone"))
    with store.write() as connection:
        fill_empty_tables(connection)


def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with open_store(url, create=False) as store, store.read() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def copy(source: str, target: str, **options: bool) -> dict[str, int]:
    with open_store(source, create=False) as store:
        return store.copy_to(target, lambda *_: None, **options)


@pytest.mark.parametrize("start", BACKENDS)
@pytest.mark.parametrize("end", BACKENDS)
def test_everything_arrives(tmp_path: Path, start: str, end: str) -> None:
    (tmp_path / "start").mkdir()
    source, target = new_url(start, tmp_path / "start"), new_url(end, tmp_path / "end" / "new folder")
    with open_store(source) as store:
        fill(store)
    before = contents(source)
    assert all(before.values())
    counts = copy(source, target)
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert contents(source) == contents(target) == before
    with open_store(target) as new, open_store(source) as old:
        assert new.change(3).undoes == 2
        assert new.change(2).undone_by == old.change(2).undone_by
        assert new.start_run("scan") == old.start_run("scan")  # not the number of the run that was dropped
        assert begin(new, 1, "/next") == begin(old, 1, "/next")
        with new.read() as connection:
            assert stored_revision(connection) is not None
    assert [finding for finding in check(target) if "not finished" not in finding] == []


def test_references_hold_at_the_copy(tmp_path: Path) -> None:
    source, target = sqlite_url(tmp_path), new_url("postgresql", tmp_path)
    with open_store(source) as store:
        fill(store)
    copy(source, target)
    with open_store(target) as store, pytest.raises(StoreError, match="foreign key"), store.write() as connection:
        connection.execute(delete(RUNS))


@pytest.mark.parametrize("end", BACKENDS)
def test_a_library_is_not_added_to_another(tmp_path: Path, end: str) -> None:
    (tmp_path / "end").mkdir()
    source, target = sqlite_url(tmp_path), new_url(end, tmp_path / "end")
    with open_store(source) as store, open_store(target) as other:
        store.save_files([FileRecord(path="/a", status="tagged")])
        other.save_files([FileRecord(path="/b", status="tagged")])
    before = contents(target)
    for dry_run in (True, False):
        with pytest.raises(StoreError, match="is not empty: its table files has rows; name an empty database"):
            copy(source, target, dry_run=dry_run)
    assert contents(target) == before
    with pytest.raises(StoreError, match="is the database to copy"):
        copy(target, target)
    with pytest.raises(StoreError, match="is the database to copy"):
        copy(target, f"{target}{'&' if '?' in target else '?'}{'timeout' if end == 'sqlite' else 'connect_timeout'}=9")


@pytest.mark.parametrize("end", BACKENDS)
def test_an_empty_library_is_replaced(tmp_path: Path, end: str) -> None:
    (tmp_path / "end").mkdir()
    source, target = sqlite_url(tmp_path), new_url(end, tmp_path / "end")
    open_store(target).close()
    with open_store(source) as store:
        fill(store)
    copy(source, target)
    assert contents(target) == contents(source)


def test_a_dry_run_creates_nothing(tmp_path: Path) -> None:
    source, target = sqlite_url(tmp_path), sqlite_url(tmp_path / "new")
    with open_store(source) as store:
        store.save_files([FileRecord(path="/a", status="tagged")])
    assert copy(source, target, dry_run=True)["files"] == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("start", BACKENDS)
def test_a_run_that_goes_on_is_named(tmp_path: Path, start: str) -> None:
    source = new_url(start, tmp_path)
    target = tmp_path / "copy.db"
    with open_store(source) as store:
        run = store.start_run("watch")
        with pytest.raises(StoreError, match=rf"run {run} \(genrify-tag watch\) is still writing to "):
            copy(source, str(target))
        assert not target.exists()
        store.finish_run(run, "done", {})
        copy(source, str(target))


@pytest.mark.parametrize("start", BACKENDS)
def test_nothing_is_written_meanwhile(tmp_path: Path, start: str) -> None:
    """Whatever a scan that starts during the copy wrote would be missing at the target."""
    source = new_url(start, tmp_path)
    impatient = source + ("?timeout=0.2" if start == "sqlite" else "&options=-c%20lock_timeout=200")
    refused: list[str] = []

    def start_scan(*_: object) -> None:
        with open_store(impatient) as other, pytest.raises(StoreError) as raised:
            other.start_run("scan")
        refused.append(str(raised.value))

    with open_store(source) as store:
        store.save_files([FileRecord(path="/a", status="tagged")])
        store.copy_to(str(tmp_path / "copy.db"), start_scan)
    assert len(refused) == 1
    assert "another program has locked the database for too long" in refused[0]
    assert contents(str(tmp_path / "copy.db")) == contents(source)


@pytest.mark.parametrize("end", BACKENDS)
def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, end: str) -> None:
    source = sqlite_url(tmp_path)
    target = new_url(end, tmp_path / "end")
    with open_store(source) as store:
        fill(store)
        with store.write() as connection:
            connection.exec_driver_sql("UPDATE files SET seen_at = 'yesterday' WHERE path = CAST('/odd' AS BLOB)")
    with pytest.raises((StoreError, ValueError)):
        copy(source, target)
    if end == "sqlite":
        assert list((tmp_path / "end").iterdir()) == []
    else:
        with Store(parse_url(target)) as store, store.read() as connection:
            assert stored_revision(connection) is None


def test_text_with_nul_from_an_earlier_version(tmp_path: Path) -> None:
    source, target = sqlite_url(tmp_path), new_url("postgresql", tmp_path)
    row = {"path": "/a", "status": "tagged", "genres": (), "scores": {}, "before": (), "after": ()}
    with open_store(source) as store, store.write() as connection:
        connection.execute(insert(FILES), {**row, "seen_at": datetime.now(UTC)})
        connection.exec_driver_sql("UPDATE files SET model = 'a' || char(0) || 'b'")
    copy(source, target)
    with open_store(target) as store:
        assert store.files(["/a"])["/a"].model == "a\\x00b"


def test_a_scan_continues_on_the_copy_and_is_undone_there(command_line, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    song = media.make("mp3-v2.3", music)
    target = new_url("postgresql", tmp_path)
    assert [result["status"] for result in command_line.scan("--min-confidence", "0.1", music)] == ["tagged"]
    tagged = song.read_bytes()
    done = command_line("db", "copy", target)
    assert f"url = {json.dumps(url_without_password(target))}" in done.stdout
    again = command_line.scan("--min-confidence", "0.1", "--database", target, music)
    assert [result["status"] for result in again] == ["unchanged"]
    assert song.read_bytes() == tagged
    command_line("undo", "--database", target, "--path", music)
    assert song.read_bytes() != tagged
    back = tmp_path / "back.db"
    command_line("db", "copy", "--database", target, back)
    assert contents(str(back)) == contents(target)
    refused = command_line("db", "copy", back, status=1)
    assert refused.stderr == (
        f"genrify-tag: {back} is not empty: its table analyses has rows; "
        "name an empty database, or a file that does not exist\n"
    )
