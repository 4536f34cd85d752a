"""A moved song keeps its record and its journal; a copy has its own; files on an unmounted disk are not gone."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mediafile import MediaFile
from sqlalchemy import event

from genrify_tagger.files import FileStat, file_stat
from genrify_tagger.pipeline import vacant_places
from genrify_tagger.pipeline.moves import FEW, MoveTracker
from genrify_tagger.store import FileRecord, Move, Store, open_store
from tests import media
from tests.watching import genre, query, until, watching

SURE = ("--min-confidence", "0.1")


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """Collect the SQL statements that are executed."""
    executed: list[str] = []

    def add(_connection, _cursor, statement, *_) -> None:
        executed.append(statement)

    event.listen(store._engine, "before_cursor_execute", add)
    yield executed
    event.remove(store._engine, "before_cursor_execute", add)


@pytest.fixture
def library(command_line, tmp_path) -> Path:
    """Four songs, scanned: two tagged, one set by hand, one undone."""
    folder = tmp_path / "lib"
    songs = {
        "jazz": media.make("flac", folder / "A", "jazz"),
        "classical": media.make("mp3-v2.4", folder / "A", "classical", source=media.CLASSICAL),
        "set": media.make("opus", folder / "B", "set"),
        "undone": media.make("m4a-aac", folder / "B", "undone", source=media.CLASSICAL),
    }
    command_line.scan(folder, *SURE)
    command_line("set", songs["set"], "Polka")
    command_line("undo", "--path", songs["undone"])
    return folder


def known(program) -> dict[str, bool]:
    """Return the paths in the database and whether they are there."""
    rows = query(program.database, "SELECT path, missing_since FROM files")
    return {os.fsdecode(path): missing is None for path, missing in rows}


def statuses(results) -> dict[str, str]:
    return {Path(result["path"]).stem: f"{result['status']} {result['reason']}" for result in results}


def history(program, path) -> list[str]:
    lines = program("history", "--path", path, "--format", "jsonl").stdout.splitlines()
    return [json.loads(line)["origin"] for line in lines]


def rename(old: Path, new: Path) -> None:
    old.rename(new)


def copy_and_delete(old: Path, new: Path) -> None:
    """Move as between two disks: other inodes, other times."""
    shutil.copytree(old, new)
    shutil.rmtree(old)


def copy_and_retag(old: Path, new: Path) -> None:
    copy_and_delete(old, new)
    for song in new.rglob("*.*"):
        tagged = MediaFile(song)
        tagged.title = "Another title"
        tagged.save()


@pytest.mark.parametrize("move", [rename, copy_and_delete, copy_and_retag])
def test_a_moved_library_is_the_same_library(command_line, library, tmp_path, move):
    new = tmp_path / "elsewhere" / "new"
    new.parent.mkdir()
    move(library, new)
    done = command_line("scan", new, *SURE)
    assert "4 songs have moved" in done.stderr
    assert sorted(known(command_line)) == sorted(str(path) for path in new.rglob("*.*"))
    assert all(known(command_line).values())
    counts = json.loads(command_line("status", "--format", "json").stdout)["counts"]
    assert sum(counts.values()) == 4 and "missing" not in counts
    assert history(command_line, new / "B" / "set.opus") == ["set", "scan"]
    assert genre(new / "B" / "set.opus") == ["Polka"] and genre(new / "B" / "undone.m4a") == []
    again = statuses(command_line.scan(new, *SURE, "--reanalyse"))
    assert again["set"] == "kept set by hand" and "undone since" in again["undone"]
    assert "have moved" not in command_line("scan", new, *SURE).stderr
    command_line("undo", "1", status=1)  # the songs set by hand and undone since are refused
    assert genre(new / "A" / "jazz.flac") == genre(new / "A" / "classical.mp3") == []


def test_a_renamed_folder_is_not_read_again(command_line, library, tmp_path):
    new = tmp_path / "new"
    library.rename(new)
    before = known(command_line)
    assert {status.split()[0] for status in statuses(command_line.scan(new, *SURE, "--dry-run")).values()} == {
        "unchanged"
    }
    assert known(command_line) == before
    assert {status.split()[0] for status in statuses(command_line.scan(new, *SURE)).values()} == {"unchanged"}


def test_a_dry_run_knows_a_moved_song_and_remembers_nothing(command_line, library, tmp_path):
    copy_and_delete(library, tmp_path / "new")
    before = known(command_line)
    told = statuses(command_line.scan(tmp_path / "new", *SURE, "--dry-run"))
    assert told["set"] == "kept set by hand" and "undone since" in told["undone"]
    assert known(command_line) == before


def test_the_same_song_at_two_existing_paths_is_two_files(command_line, library, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(library, copy)
    done = command_line("scan", copy, *SURE)
    assert "have moved" not in done.stderr
    assert len(known(command_line)) == 8
    assert history(command_line, copy / "B" / "set.opus") == []
    assert history(command_line, library / "B" / "set.opus") == ["set", "scan"]


def test_a_hard_link_is_a_copy(command_line, library, tmp_path):
    link = tmp_path / "links" / "jazz.flac"
    link.parent.mkdir()
    os.link(library / "A" / "jazz.flac", link)
    command_line.scan(link.parent, *SURE)
    assert history(command_line, link) == [] and len(known(command_line)) == 5


def test_a_copy_inherits_the_history_of_an_original_that_is_deleted_later(command_line, library):
    copy = library / "A" / "copy.opus"
    shutil.copyfile(library / "B" / "set.opus", copy)
    command_line.scan(library, *SURE)
    assert history(command_line, copy) == []
    (library / "B" / "set.opus").unlink()
    command_line.scan(library, *SURE)
    assert history(command_line, copy) == ["set", "scan"]
    assert statuses(command_line.scan(copy, *SURE, "--reanalyse")) == {"copy": "kept set by hand"}


def test_several_copies_of_a_song_keep_their_own_histories(command_line, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    songs = [media.make("flac", old / name, "song") for name in ("one", "two", "three")]
    command_line.scan(old, *SURE)
    command_line("set", songs[1], "Polka")
    old.rename(new)
    (new / "three" / "song.flac").rename(new / "three" / "renamed.flac")
    command_line.scan(new, *SURE, "--reanalyse")
    assert history(command_line, new / "two") == ["set", "scan"]
    assert history(command_line, new / "one") == history(command_line, new / "three") == ["scan"]
    assert all(known(command_line).values()) and len(known(command_line)) == 3


def test_renumbered_tracks_keep_their_own_histories(command_line, tmp_path):
    album = tmp_path / "album"
    one = media.make("flac", album, "01")
    two = media.make("flac", album, "02", source=media.CLASSICAL)
    command_line.scan(album, *SURE)
    command_line("set", one, "Polka")
    command_line("set", two, "Waltz")
    two.rename(album / "03.flac")
    one.rename(album / "02.flac")
    told = statuses(command_line.scan(album, *SURE))
    assert told == {"02": "kept set by hand", "03": "kept set by hand"}
    command_line("undo", "--path", album / "02.flac")
    assert genre(album / "02.flac") == ["Jazz"] and genre(album / "03.flac") == ["Waltz"]


def test_a_change_of_case_only(command_line, library):
    (library / "A").rename(library / "a")
    command_line.scan(library, *SURE)
    assert str(library / "a" / "jazz.flac") in known(command_line)
    assert str(library / "A" / "jazz.flac") not in known(command_line)


def test_a_link_to_the_library_is_the_library(command_line, library, tmp_path):
    (tmp_path / "link").symlink_to(library)
    told = statuses(command_line.scan(tmp_path / "link", *SURE))
    assert {status.split()[0] for status in told.values()} == {"unchanged"}
    assert len(known(command_line)) == 4


def test_history_show_and_undo_follow_a_song_before_any_scan(command_line, library, tmp_path):
    new = tmp_path / "new"
    library.rename(new)
    assert history(command_line, new / "A") == ["scan", "scan"]
    single = (new / "A" / "jazz.flac").rename(tmp_path / "renamed.flac")  # by its audio: a rename changes the ctime
    shown = json.loads(command_line("show", single, "--format", "json").stdout)
    assert [change["origin"] for change in shown["journal"]] == ["scan"]
    command_line("undo", "--path", single)
    assert genre(single) == []


def test_history_of_songs_that_only_a_scan_recognises_says_so(command_line, library, tmp_path):
    new = tmp_path / "new"
    copy_and_delete(library, new)
    told = command_line("history", "--path", new).stdout
    assert "No changes there. 4 files there were not scanned yet" in told and "a scan finds their history" in told
    command_line.scan(new, *SURE)
    assert history(command_line, new / "B" / "set.opus") == ["set", "scan"]


def test_the_old_path_names_the_new_one(command_line, library, tmp_path):
    new = tmp_path / "new"
    library.rename(new)
    command_line.scan(new, *SURE)
    refused = command_line("undo", "--path", library, status=1).stderr
    assert "there is nothing to undo" in refused and str(new) in refused
    assert f"moved to {new}" in command_line("history", "--path", library).stdout
    assert genre(new / "A" / "jazz.flac")


def test_undo_of_a_run_before_the_new_folder_is_scanned(command_line, library, tmp_path):
    library.rename(tmp_path / "new")
    done = command_line("undo", "1", status=1)
    assert done.stdout.count("the file is gone; if it was moved, scan its new folder, then undo again") == 3
    command_line.scan(tmp_path / "new", *SURE)
    assert "is gone" not in command_line("undo", "1", status=1).stdout


def test_undo_of_an_older_run_names_the_run_that_came_later(command_line, library):
    done = command_line("undo", "1", status=1)
    assert "run 2 set the genre since; undo run 2 first" in done.stdout
    assert "changed since" not in done.stdout and "removed since" not in done.stdout
    assert genre(library / "B" / "set.opus") == ["Polka"]


def test_missing_songs_are_not_similar_and_not_exported(command_line, library, tmp_path):
    (library / "A" / "jazz.flac").unlink()
    shown = command_line("similar", library / "A" / "classical.mp3").stdout
    assert "set.opus" in shown and "jazz.flac" not in shown
    assert "jazz.flac" not in command_line("export", "--format", "csv").stdout
    assert "jazz.flac" not in command_line("status", "--list", "tagged").stdout


@pytest.mark.parametrize("settled", ["rename", "copy"])
def test_the_service_follows_a_library_to_a_new_root(program, tmp_path, settled):
    old, new = tmp_path / "old", tmp_path / "new"
    song = media.make("flac", old / "A", "song")
    program.scan(old, *SURE)
    program("set", song, "Polka")
    (rename if settled == "rename" else copy_and_delete)(old, new)
    with watching(program, new) as service:
        until(lambda: str(new / "A" / "song.flac") in service.files(), what=service.words)
        service.rest()
        assert service.files() == {str(new / "A" / "song.flac"): ("kept", True)}
    assert history(program, new) == ["set", "scan"]


def test_the_service_gives_a_slow_copy_the_history_once_its_original_goes(program, tmp_path):
    old, new = tmp_path / "lib" / "old", tmp_path / "lib" / "new"
    song = media.make("flac", old, "song")
    program.scan(old, *SURE)
    program("set", song, "Polka")
    with watching(program, tmp_path / "lib") as service:
        service.rest()
        shutil.copytree(old, new)
        until(lambda: str(new / "song.flac") in service.files(), what=service.words)
        service.rest()
        shutil.rmtree(old)
        until(lambda: not service.files().get(str(song), ("", False))[1])
        service.rest()
    assert history(program, new) == ["set", "scan"]


class TestTracker:
    """What needs a mount table or another file system, by the tracker itself."""

    STAT = FileStat(1, 2, 3, 4)

    @pytest.fixture
    def store(self, tmp_path):
        with open_store(str(tmp_path / "library.db")) as store:
            yield store

    def test_an_unmounted_disk_is_unreachable_and_its_songs_stay(self, store, tmp_path, monkeypatch):
        store.remember_mounts([str(tmp_path / "disk")])
        store.save_files([FileRecord(path=str(tmp_path / "disk/a"), status="tagged", stat=self.STAT, audio_key="k")])
        here = tmp_path / "a"
        here.touch()
        assert MoveTracker(store).follow(str(here), "k") == str(here)
        for _ in MoveTracker(store).mark_gone([str(tmp_path / "disk")]):
            pass
        assert store.counts() == {"tagged": 1}
        assert not MoveTracker(store).number

    def test_the_same_file_through_another_mount_has_moved(self, store, tmp_path):
        here = tmp_path / "a"
        here.touch()
        old = str(tmp_path / "container/a")
        store.remember_mounts([str(tmp_path / "container")])
        store.save_files([FileRecord(path=old, status="tagged", stat=file_stat(str(here)), audio_key="k")])
        assert MoveTracker(store).follow(str(here), "k", dry_run=True) == old
        MoveTracker(store).follow(str(here), "k")
        assert list(store.files_under()) and store.files([old]) == {}

    def test_where_case_does_not_matter_a_new_spelling_is_a_move(self, tmp_path, monkeypatch):
        folder = tmp_path / "abba"
        folder.mkdir()
        assert vacant_places.is_respelled(str(tmp_path / "ABBA" / "a.mp3"), str(folder / "a.mp3"))
        assert not vacant_places.is_respelled(str(folder / "a.mp3"), str(folder / "a.mp3"))
        (tmp_path / "ABBA").mkdir()
        assert not vacant_places.is_respelled(str(tmp_path / "ABBA" / "a.mp3"), str(folder / "a.mp3"))

    @pytest.fixture
    def copies(self, store, tmp_path):
        """Paths of a song with many copies, all tagged; the last one's genre was set by hand."""
        paths = [tmp_path / "lib" / f"{number:02}.mp3" for number in range(FEW + 8)]
        paths[0].parent.mkdir()
        run = store.start_run("scan")
        for path in paths:
            path.write_text("same audio")
            stat, origin = file_stat(str(path)), "set" if path == paths[-1] else "scan"
            store.save_files([FileRecord(path=str(path), status="tagged", stat=stat, audio_key="k")])
            change = store.begin_change(
                run=run, path=str(path), field="genre", before=None, after=b"Jazz", origin=origin, audio_key="k"
            )
            store.finish_change(change, "done", stat_after=stat)
        return paths

    def found(self, path: Path) -> dict[str, object]:
        return {"stat": file_stat(str(path)), "found_at": time.monotonic()}

    def test_files_found_together_need_one_look_at_the_places_of_a_song(self, store, copies):
        more = [path.with_suffix(".copy") for path in copies]
        for path in more:
            path.write_text("same audio")
        found = [(str(path), self.found(path)) for path in more]
        tracker = MoveTracker(store)
        with statements(store) as executed:
            for path, when in found:
                assert tracker.follow(path, "k", **when) == path
        assert sum("stat_after" in statement for statement in executed) == 1
        assert not tracker.number

    def test_the_history_of_one_copy_is_found_without_reading_that_of_the_others(self, store, copies):
        with statements(store) as executed:
            store.has_changes(str(copies[0]), "k")
            store.last_change(str(copies[0]), "k", field="genre")
            store.move_songs([Move(str(copies[0]), "/new", "k")])
        read = [line for line in executed if "changes.audio_key = ?" in line and "changes.path = ?" in line]
        with store.read() as connection:
            plans = [
                connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {line}", ("k",) * line.count("?")).all()
                for line in read
            ]
        assert len(plans) == 3
        assert all("(audio_key=? AND path=?)" in str(plan) for plan in plans), plans

    @pytest.mark.parametrize("move", ["rename", "edit", "folder"])
    def test_a_file_found_later_is_followed_however_many_copies_there_are(self, store, copies, tmp_path, move):
        tracker = MoveTracker(store)
        before = tmp_path / "before.mp3"
        before.write_text("same audio")
        assert tracker.follow(str(before), "k", **self.found(before)) == str(before)
        if move == "folder":
            copies[0].parent.rename(tmp_path / "new")
            new = tmp_path / "new" / copies[-1].name
        else:
            new = copies[-1].rename(tmp_path / "new.mp3")
        if move == "edit":
            new.write_text("same audio, and no genre any more")
        tracker.follow(str(new), "k", **self.found(new))
        assert store.last_change(str(new), "k").origin == "set"
        assert tracker.number == 1

    def test_a_song_that_replaced_a_copy_since_it_was_found_is_followed(self, store, copies, tmp_path):
        new = tmp_path / "new.mp3"
        new.write_text("same audio")
        found = self.found(new)
        tracker = MoveTracker(store)
        tracker.follow(str(new), "k", **found)
        os.replace(copies[-1], new)
        tracker.follow(str(new), "k", **found)
        assert store.last_change(str(new), "k").origin == "set"

    def test_a_dry_run_promises_each_place_once(self, store, copies, tmp_path):
        copies[-1].unlink()
        one, two = tmp_path / "one.mp3", tmp_path / "two.mp3"
        one.write_text("same audio")
        two.write_text("same audio")
        tracker = MoveTracker(store)
        former = [tracker.follow(str(path), "k", dry_run=True, **self.found(path)) for path in (one, two, one)]
        assert former == [str(copies[-1]), str(two), str(copies[-1])]
        assert tracker.number == 1 and store.last_change(str(one), "k") is None

    def test_copies_without_a_history_inherit_those_of_originals_that_are_gone(self, store, copies, tmp_path):
        heirs = [tmp_path / "copies" / f"{number}.mp3" for number in range(5)]
        heirs[0].parent.mkdir()
        for path in heirs[:3]:
            path.write_text("same audio")  # the others are gone, which is not known yet
        store.save_files([FileRecord(path=str(path), status="kept", audio_key="k") for path in heirs])
        for path in copies[-2:]:
            path.unlink()
        for _ in MoveTracker(store).mark_gone([str(copies[0].parent)]):
            pass
        histories = [store.last_change(str(path), "k") for path in heirs]
        assert sorted(change.origin for change in histories if change) == ["scan", "set"]
        assert histories[3:] == [None, None]

    def test_pruning_a_place_forgets_its_mounts(self, store):
        store.remember_mounts(["/mnt/old", "/mnt/new"])
        store.prune(["/mnt/old"])
        assert store.known_mounts() == ["/mnt/new"]
