"""The store saves and finds its records, on SQLite and on a real PostgreSQL server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, literal, select

from genrify_tagger.analysis import Analysis
from genrify_tagger.errors import StoreError
from genrify_tagger.files import FileStat
from genrify_tagger.store import FileRecord, Move, Store, as_stored, check, open_store, utc_now
from genrify_tagger.store.tables import ANALYSES, CHANGES
from tests.store_databases import BACKENDS, ROOT, new_url

NOT_UTF8 = "/music/caf\udce9\nnew line/a.mp3"
STAT = FileStat(size=4_000_000, mtime_ns=1_700_000_000_123_456_789, ctime_ns=1_700_000_001_000_000_000, inode=42)


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return new_url(request.param, tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        yield opened


def record(path: str, **values: object) -> FileRecord:
    return FileRecord(**{"path": path, "status": "tagged", "stat": STAT, **values})


def full_record(path: str) -> FileRecord:
    return FileRecord(
        path=path,
        status="tagged",
        stat=STAT,
        audio_key="ab" * 16,
        reason="confidence 0.41 below 0.60",
        error=None,
        genres=("Hip-Hop", "Rock"),
        confidence=0.1 + 0.2,
        scores={"hiphop": 0.7, "rock": 0.3},
        before=(),
        after=("Hip-Hop",),
        vocabulary="gtzan",
        model="model-1",
        settings_key="s" * 40,
        duration=241.123456789,
        container="mp3",
        seen_at=datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC),
        missing_since=None,
    )


def analysis(seed: int = 0, segments: int = 8) -> Analysis:
    random = np.random.default_rng(seed)
    return Analysis(
        duration=240.5,
        intervals=random.random((segments, 2), np.float32),
        levels=-random.random(segments, np.float32) * 60,
        outputs={
            "gtzan": random.random((segments, 10), np.float32),
            "outside": random.random((segments, 1), np.float32),
        },
        tags=random.random(50, np.float32),
        embedding=random.standard_normal(200, np.float32),
        spread=random.random(200, np.float32),
    )


def begin(store: Store, run: int, path: str, **values: object) -> int:
    given = {"field": "genre", "before": None, "after": b"Jazz", "origin": "scan", **values}
    return store.begin_change(run=run, path=path, **given)


def changed(store: Store, run: int, path: str, **values: object) -> int:
    change = begin(store, run, path, **values)
    store.finish_change(change, "done", stat_after=STAT)
    return change


def assert_same(one: Analysis, other: Analysis) -> None:
    assert one.duration == other.duration
    assert list(one.outputs) == list(other.outputs)
    for name in one.outputs:
        np.testing.assert_array_equal(one.outputs[name], other.outputs[name])
    for name in ("intervals", "levels", "tags", "embedding", "spread"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert getattr(other, name).dtype == np.float32


class TestFiles:
    @pytest.mark.parametrize("path", ["/music/a.mp3", NOT_UTF8, "/music/" + "ä" * 120])
    def test_a_record_comes_back_as_it_was_saved(self, store: Store, path: str) -> None:
        saved = full_record(path)
        store.save_files([saved])
        assert store.files([path]) == {path: saved}
        assert store.files([path])[path].seen_at.tzinfo is UTC

    def test_unknown_paths_are_left_out(self, store: Store) -> None:
        store.save_files([record("/music/a.mp3")])
        assert list(store.files(["/music/b.mp3", "/music/a.mp3", "/music/A.mp3"])) == ["/music/a.mp3"]
        assert store.files([]) == {}

    @pytest.mark.parametrize(
        "stat",
        [
            FileStat(0, 0, 0, 0),
            FileStat(2**63 + 1, -(10**18), 2**63 + 5, 2**64 - 1),  # before 1970, after 2262, unsigned inode
            FileStat(1, 2, 3, 2**100),  # ReFS
            None,
        ],
    )
    def test_any_fingerprint_is_kept(self, store: Store, stat: FileStat | None) -> None:
        store.save_files([record("/a", stat=stat)])
        assert store.files(["/a"])["/a"].stat == stat

    def test_text_that_databases_refuse_is_escaped(self, store: Store) -> None:
        store.save_files([record("/a", error="no such file: caf\udce9\0", genres=("Ja\udce9zz",))])
        found = store.files(["/a"])["/a"]
        assert found.error == "no such file: caf\\udce9\\x00"
        assert found.genres == ("Ja\udce9zz",)

    def test_saving_again_replaces_the_whole_record(self, store: Store) -> None:
        store.save_files([full_record("/a"), record("/b")])
        second = FileRecord(path="/a", status="failed", error="cannot be decoded")
        store.save_files([second])
        assert store.files(["/a"]) == {"/a": second}
        assert store.counts() == {"failed": 1, "tagged": 1}

    def test_many_paths_at_once(self, store: Store) -> None:
        paths = [f"/music/{number:05}.mp3" for number in range(1201)]
        store.save_files(record(path) for path in paths)
        found = store.files(paths)
        assert list(found) == paths

    def test_one_bad_record_rolls_back_all(self, store: Store) -> None:
        with pytest.raises(StoreError):
            store.save_files([record("/a"), record("/b", status=None)])
        assert store.counts() == {}

    def test_below_a_folder_means_below_that_folder(self, store: Store) -> None:
        inside = ["/m/ab/1", "/m/ab/\udcff", "/m/ab/c/2", "/m/ab/ä"]
        store.save_files(record(path) for path in [*inside, "/m/a", "/m/ab", "/m/ab-c/1", "/m/ab0", "/m/abc/1", "/n"])
        in_order = sorted(inside, key=os.fsencode)
        assert [found.path for found in store.files_under("/m/ab/")] == in_order
        assert list(store.paths_under("/m/ab")) == in_order
        assert store.counts("/m/ab") == {"tagged": 4}
        assert len(list(store.files_under("/"))) == len(list(store.files_under())) == 10

    def test_a_file_is_below_itself(self, store: Store) -> None:
        store.save_files([record("/m/a.mp3"), record("/m/a.mp3.old")])
        assert [found.path for found in store.files_under("/m/a.mp3")] == ["/m/a.mp3"]

    def test_streaming_crosses_pages_while_the_caller_writes(self, store: Store) -> None:
        paths = [f"/m/{number:05}" for number in range(1500)]
        store.save_files(record(path) for path in paths)
        seen = []
        for found in store.files_under("/m"):
            seen.append(found.path)
            if len(seen) % 300 == 0:
                store.save_files([replace(found, status="kept")])
        assert seen == paths
        assert store.counts() == {"kept": 5, "tagged": 1495}

    def test_statuses(self, store: Store) -> None:
        store.save_files([record("/a"), record("/b", status="unsure"), record("/c", status="failed"), record("/d")])
        store.mark_missing(["/d"])
        by_status = {
            wanted: [found.path for found in store.files_under(None, wanted)]
            for wanted in [("unsure", "failed"), ("missing",), ("tagged",), ()]
        }
        assert by_status == {("unsure", "failed"): ["/b", "/c"], ("missing",): ["/d"], ("tagged",): ["/a"], (): []}

    def test_missing_files_are_kept_apart_until_they_return(self, store: Store) -> None:
        store.save_files([record("/a"), record("/b")])
        yesterday = utc_now() - timedelta(days=1)
        assert store.mark_missing(["/a", "/unknown"], when=yesterday) == 1
        assert store.mark_missing(["/a"]) == 0  # it went yesterday
        assert store.files(["/a"])["/a"].missing_since == yesterday
        assert store.files(["/a"])["/a"].status == "tagged"
        assert store.counts() == {"missing": 1, "tagged": 1}
        assert list(store.paths_under()) == ["/b"]
        assert store.mark_found(["/a", "/b"]) == 1
        assert store.counts() == {"tagged": 2}

    def test_forget(self, store: Store) -> None:
        store.save_files([record("/a"), record("/b")])
        assert store.forget(["/a", "/c"]) == 1
        assert store.counts() == {"tagged": 1}

    def test_failures_by_reason(self, store: Store) -> None:
        errors = {"/a": "no audio", "/b": "too slow", "/c": "no audio", "/d": "no audio"}
        store.save_files(record(path, status="failed", error=error) for path, error in errors.items())
        store.save_files([record("/e", error="not a failure")])
        store.mark_missing(["/d"])
        assert list(store.failures().items()) == [("no audio", 2), ("too slow", 1)]

    def test_locations_of_one_song(self, store: Store) -> None:
        store.save_files([record("/b", audio_key="k"), record("/a", audio_key="k"), record("/c", audio_key="other")])
        store.mark_missing(["/b"])
        run = store.start_run("scan")
        changed(store, run, "/pruned", audio_key="k")
        assert sorted(place.path for place in store.locations("k")) == ["/a", "/b", "/pruned"]
        assert store.knows_song("k")
        assert store.knows_song("other")
        assert not store.knows_song("new")

    def test_a_song_is_known_by_its_changes_alone(self, store: Store) -> None:
        changed(store, store.start_run("scan"), "/pruned", audio_key="k")
        assert store.knows_song("k")


class TestAnalyses:
    def test_an_analysis_is_restored_exactly(self, store: Store) -> None:
        stored = analysis()
        store.save_analysis("key", "model", "front end", stored)
        found = store.find_analysis("key", "model", "front end")
        assert found is not None
        assert_same(as_stored(stored), found)
        np.testing.assert_array_equal(found.outputs["gtzan"], stored.outputs["gtzan"])
        np.testing.assert_array_equal(found.levels, stored.levels)
        np.testing.assert_allclose(found.embedding, stored.embedding, rtol=1e-3, atol=1e-6)

    def test_as_stored_settles_at_once(self) -> None:
        assert_same(as_stored(analysis()), as_stored(as_stored(analysis())))

    def test_an_analysis_of_an_earlier_version_has_no_spread(self, store: Store) -> None:
        earlier = replace(analysis(), spread=None)
        store.save_analysis("key", "model", "front end", earlier)
        found = store.find_analysis("key", "model", "front end")
        assert found is not None
        assert found.spread is None
        assert as_stored(earlier).spread is None

    def test_strange_values(self, store: Store) -> None:
        stored = replace(
            analysis(),
            levels=np.array([-np.inf, np.nan, *range(6)], np.float32),
            embedding=np.array([1e9, -1e9, 1e-30], np.float32),
        )
        store.save_analysis("key", "m", "f", stored)
        found = store.find_analysis("key", "m", "f")
        assert found is not None
        assert_same(as_stored(stored), found)
        assert found.embedding.tolist() == [65504.0, -65504.0, 0.0]

    def test_other_model_or_front_end_is_another_analysis(self, store: Store) -> None:
        store.save_analysis("key", "m", "f", analysis())
        assert store.find_analysis("key", "m2", "f") is None
        assert store.find_analysis("key", "m", "f2") is None
        assert store.find_analysis("key2", "m", "f") is None

    def test_saving_again_keeps_one(self, store: Store) -> None:
        store.save_analysis("key", "m", "f", analysis(1))
        store.save_analysis("key", "m", "f", analysis(2, segments=1))
        found = store.find_analysis("key", "m", "f")
        assert found is not None
        assert_same(as_stored(analysis(2, segments=1)), found)

    def test_embeddings_of_one_model(self, store: Store) -> None:
        keys = [f"{number:032x}" for number in range(510)]
        store.save_analysis(keys[0], "m", "f", analysis(1))
        with store.write() as connection:
            row = {column.name: column for column in ANALYSES.columns}
            for key in keys[1:]:
                connection.execute(
                    insert(ANALYSES).from_select(
                        list(row),
                        select(*{**row, "audio_key": literal(key)}.values()).where(ANALYSES.c.audio_key == keys[0]),
                    )
                )
        store.save_analysis(keys[3], "m", "f2", analysis(2))
        store.save_analysis(keys[3], "other", "f", analysis(3))
        found = list(store.embeddings("m", "f"))
        assert sorted(key for names, _ in found for key in names) == keys
        np.testing.assert_array_equal(found[-1][1][-1], as_stored(analysis(1)).embedding)
        assert [names for names, _ in store.embeddings("m", "f", [keys[7], "unknown"])] == [[keys[7]]]
        assert list(store.embeddings("unknown", "f")) == []
        assert [key.decode() for key in store.song_keys("m", "f")] == keys


class TestRuns:
    def test_newest_first(self, store: Store) -> None:
        first = store.start_run("scan", ["/music", "caf\udce9"], "model-1")
        second = store.start_run("undo")
        store.finish_run(first, "done", {"tagged": 3, "failed": 1})
        runs = store.runs()
        assert [run.id for run in runs] == [second, first]
        assert runs[1].arguments == ("/music", "caf\udce9")
        assert runs[1].counts == {"tagged": 3, "failed": 1}
        assert runs[1].status == "done"
        assert runs[1].finished_at is not None
        assert runs[1].finished_at >= runs[1].started_at
        assert (runs[0].status, runs[0].finished_at) == ("running", None)

    def test_chosen_runs(self, store: Store) -> None:
        assert store.last_run() is None
        ids = [store.start_run(command) for command in ("scan", "scan", "set")]
        assert [run.id for run in store.runs(limit=2)] == [ids[2], ids[1]]
        assert [run.id for run in store.runs(command="scan")] == [ids[1], ids[0]]
        last = store.last_run("scan")
        assert last is not None
        assert last.id == ids[1]
        assert store.run(ids[0]) == store.runs()[2]
        assert store.run(999) is None


class TestJournal:
    def test_a_change_comes_back_as_it_was_begun(self, store: Store) -> None:
        run = store.start_run("set")
        change = store.begin_change(
            run=run,
            path=NOT_UTF8,
            field="genre",
            before=b"\x00\xff",
            after=b"",
            before_genres=("Rock",),
            after_genres=(),
            audio_key="k",
            stat_before=STAT,
            origin="set",
            backup="/copies/\udcff",
        )
        begun = store.change(change)
        assert begun is not None
        assert (begun.path, begun.before, begun.after, begun.backup) == (NOT_UTF8, b"\x00\xff", b"", "/copies/\udcff")
        assert (begun.before_genres, begun.after_genres, begun.state) == (("Rock",), (), "pending")
        store.finish_change(change, "done", stat_after=STAT)
        assert store.change(change) == replace(begun, state="done", stat_after=STAT)

    def test_absent_is_not_empty(self, store: Store) -> None:
        run = store.start_run("scan")
        absent = store.change(begin(store, run, "/a", before=None, before_genres=None))
        empty = store.change(begin(store, run, "/a", before=b"", before_genres=()))
        assert absent is not None
        assert empty is not None
        assert (absent.before, absent.before_genres) == (None, None)
        assert (empty.before, empty.before_genres) == (b"", ())

    def test_finishing_what_was_never_begun(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no change 7"):
            store.finish_change(7, "done")

    def test_a_change_is_resolved_once(self, store: Store) -> None:
        change = begin(store, store.start_run("scan"), "/a")
        assert store.resolve_change(change, "done", stat_after=STAT)
        assert not store.resolve_change(change, "failed", error="another process looked later")
        found = store.change(change)
        assert found is not None
        assert (found.state, found.stat_after, found.error) == ("done", STAT, None)

    def test_a_change_needs_a_run(self, store: Store) -> None:
        with pytest.raises(StoreError):
            begin(store, 99, "/a")
        assert list(store.changes()) == []

    def test_changes_of_a_run_a_path_a_folder(self, store: Store) -> None:
        one, two = store.start_run("scan"), store.start_run("scan")
        a1 = changed(store, one, "/m/x/a")
        b1 = changed(store, one, "/m/xy/b")
        a2 = changed(store, two, "/m/x/a")

        def ids(**choice: object) -> list[int]:
            return [found.id for found in store.changes(**choice)]

        assert ids() == [a2, b1, a1]
        assert ids(run=one) == [b1, a1]
        assert ids(path="/m/x/a") == [a2, a1]
        assert ids(under="/m/x") == ids(under="/m/x/a") == [a2, a1]
        assert ids(under="/m", run=one) == [b1, a1]
        assert ids(limit=2) == [a2, b1]
        assert ids(path="/m/x") == []

    def test_many_changes_stream_while_new_ones_are_made(self, store: Store) -> None:
        run = store.start_run("scan")
        row = {"run": run, "path": "/m", "field": "genre", "origin": "scan", "state": "done", "created_at": utc_now()}
        with store.write() as connection:
            connection.execute(insert(CHANGES), [row] * 1200)
        stream = store.changes(run=run)
        newest = next(stream).id
        changed(store, run, "/m/new")
        assert [found.id for found in stream] == list(range(newest - 1, newest - 1200, -1))

    def test_last_change_of_a_path(self, store: Store) -> None:
        run = store.start_run("scan")
        first = changed(store, run, "/a")
        begin(store, run, "/a")
        store.finish_change(begin(store, run, "/a"), "failed", error="disk full")
        grouping = changed(store, run, "/a", field="grouping")
        by_field = store.last_change("/a", field="genre")
        last = store.last_change("/a")
        assert by_field is not None
        assert last is not None
        assert (by_field.id, last.id) == (first, grouping)
        assert store.last_change("/b") is None

    def test_a_song_moves_with_its_record_and_its_own_changes(self, store: Store) -> None:
        run = store.start_run("scan")
        stored = record("/old", audio_key="k")
        store.save_files([stored])
        other = changed(store, run, "/old", audio_key="a song that was there before")
        first = changed(store, run, "/old", audio_key="k")
        pending = begin(store, run, "/old", audio_key="k")
        store.move_songs([Move("/old", "/new", "k")])
        store.move_songs([Move("/new", "/newer", "k")])
        assert store.files(["/old", "/new", "/newer"]) == {"/newer": replace(stored, path="/newer")}
        found = store.last_change("/newer", "k")
        assert found is not None
        assert (found.id, found.made_at) == (first, "/old")
        assert {change.id for change in store.changes(path="/old")} == {other, pending}
        assert store.last_change("/old", "k") is None
        assert store.paths_moved_from("/old") == ["/newer"]
        assert store.paths_moved_from("/newer") == []

    def test_a_song_moves_onto_a_path_that_is_known(self, store: Store) -> None:
        here = record("/new", audio_key="another")
        store.save_files([record("/old", audio_key="k"), here])
        store.move_songs([Move("/old", "/new", "k")])
        assert store.files(["/old", "/new"]) == {"/new": here}

    def test_files_by_fingerprint(self, store: Store) -> None:
        stored = record("/a", audio_key="k", stat=FileStat(1, 2, 3, 2**64 - 1))
        store.save_files([stored, record("/b", stat=FileStat(1, 2, 3, 4))])
        ((place, key),) = store.files_like([FileStat(1, 2, 3, 2**64 - 1), FileStat(9, 9, 9, 9)])
        assert (place.path, place.stat, key) == ("/a", stored.stat, "k")

    def test_undo_redo_undo(self, store: Store) -> None:
        run = store.start_run("scan")

        def undone_by() -> list[int | None]:
            return [found.undone_by for found in store.changes()][::-1]

        scan = changed(store, run, "/a")
        undo = changed(store, run, "/a", origin="undo", undoes=scan)
        assert undone_by() == [undo, None]
        redo = changed(store, run, "/a", origin="undo", undoes=undo)
        assert undone_by() == [None, redo, None]
        again = changed(store, run, "/a", origin="undo", undoes=redo)
        assert undone_by() == [undo, None, again, None]

    def test_a_failed_undo_undoes_nothing(self, store: Store) -> None:
        run = store.start_run("scan")
        scan = changed(store, run, "/a")
        store.finish_change(begin(store, run, "/a", origin="undo", undoes=scan), "failed", error="read-only")
        found = store.change(scan)
        assert found is not None
        assert found.undone_by is None

    def test_a_write_of_a_running_process_is_not_abandoned(self, store: Store, url: str) -> None:
        own = begin(store, store.start_run("scan"), "/a")
        assert store.pending_changes() == []
        assert [change.id for change in store.pending_changes(abandoned=False)] == [own]
        assert check(url) == []
        store.finish_change(own, "failed", error="gave up")
        assert store.pending_changes(abandoned=False) == []
        assert check(url) == []

    def test_a_write_of_a_killed_process_is_abandoned(self, store: Store, url: str) -> None:
        done = subprocess.run([sys.executable, "-m", "tests.store_tasks", "abandon", url], cwd=ROOT, check=False)
        assert done.returncode == -signal.SIGKILL
        assert [change.path for change in store.pending_changes()] == ["/a"]
        assert [run.status for run in store.runs()] == ["interrupted"]
        assert check(url) == ["1 change was begun but not finished; the next run resolves that"]


class TestTogether:
    def test_prune_of_a_path_removes_only_missing_files_there(self, store: Store, tmp_path: Path) -> None:
        there = tmp_path / "emptied" / "there"
        there.parent.mkdir()
        there.touch()
        gone, marked, away = f"{there}-no-more", f"{there}/was a folder", str(tmp_path / "away")
        store.save_files(record(path, audio_key=path) for path in (str(there), gone, marked, away))
        for key in (str(there), gone, away):
            store.save_analysis(key, "m", "f", analysis())
        store.mark_missing([marked, away])
        place = [str(there.parent)]
        assert store.prune(place, dry_run=True) == {"files": 2, "analyses": 1}
        assert store.counts() == {"missing": 2, "tagged": 2}
        assert store.prune(place) == {"files": 2, "analyses": 1}
        assert store.counts() == {"missing": 1, "tagged": 1}
        assert set(store.audio_keys("m", "f")) == {str(there), away}
        assert store.prune([str(there)]) == {"files": 0, "analyses": 0}
        assert store.prune([away]) == {"files": 1, "analyses": 1}

    def test_prune_removes_missing_files_and_unused_analyses(self, store: Store) -> None:
        store.save_files(
            [record("/a", audio_key="kept"), record("/b", audio_key="kept"), record("/c", audio_key="gone")]
        )
        for key in ("kept", "gone", "unknown"):
            store.save_analysis(key, "m", "f", analysis())
        run = store.start_run("scan")
        changed(store, run, "/c", audio_key="gone")
        store.mark_missing(["/b", "/c"])
        assert store.prune(dry_run=True) == {"files": 2, "analyses": 2}
        assert store.counts() == {"missing": 2, "tagged": 1}
        assert store.prune() == {"files": 2, "analyses": 2}
        assert store.prune() == {"files": 0, "analyses": 0}
        assert store.counts() == {"tagged": 1}
        assert store.audio_keys("m", "f") == ["kept"]
        assert [change.path for change in store.changes()] == ["/c"]

    def test_threads_share_a_store(self, store: Store) -> None:
        run = store.start_run("watch")
        errors: list[BaseException] = []

        def work(name: int) -> None:
            try:
                for number in range(20):
                    path = f"/{name}/{number}"
                    changed(store, run, path)
                    store.save_files([record(path)])
                    assert path in store.files([path])
            except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
                errors.append(error)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert store.counts() == {"tagged": 160}
        assert len(list(store.changes())) == 160

    def test_everything_survives_reopening(self, url: str) -> None:
        with open_store(url) as store:
            store.save_files([full_record("/a")])
            changed(store, store.start_run("scan"), "/a")
        with open_store(url) as store:
            assert store.files(["/a"]) == {"/a": full_record("/a")}
            assert len(list(store.changes())) == 1
        assert check(url) == []
