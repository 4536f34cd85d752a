"""Several processes of the program at once: one of them writes each file, and the others name it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import mediafile
import pytest

from genrify_tagger.config import load_settings
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline import Session, open_session
from genrify_tagger.pipeline.other_runs import change_in_flight, wait_for_write
from tests import media
from tests.program import Program

FILES = 24
SURE = ("--min-confidence", "0.05", "--segments", "1")
KINDS = ("flac", "mp3-v2.3", "m4a-aac", "ogg-vorbis")


@pytest.fixture
def library(tmp_path) -> list[Path]:
    return [media.make(KINDS[i % len(KINDS)], tmp_path / "music" / str(i // 10), f"{i:02}") for i in range(FILES)]


def start(program: Program, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        program.command(*arguments),
        env=program.environment(**environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def results(process: subprocess.Popen[str]) -> list[dict]:
    out, err = process.communicate(timeout=200)
    told = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0, (process.returncode, [one for one in told if one["error"]], err[-2000:])
    assert "Traceback" not in err
    return told


def at_once(program: Program, *commands: tuple[object, ...], **environment: str) -> list[list[dict]]:
    return [results(process) for process in [start(program, *command, **environment) for command in commands]]


def changes(program: Program) -> list[int]:
    return [run["changed"] for run in map(json.loads, program("history", "--format", "jsonl").stdout.splitlines())]


def genre_of(path: Path) -> str | None:
    return mediafile.MediaFile(path).genre


def scanning(folder: Path, *options: str) -> tuple[object, ...]:
    return ("scan", folder, *SURE, "--format", "jsonl", *options)


@pytest.mark.parametrize("hardlinks", ["refuse", "in-place"])
def test_two_scans(program, library, tmp_path, hardlinks):
    if hardlinks == "in-place":
        for path in library:
            os.link(path, path.with_suffix(".other name"))
    folder = tmp_path / "music"
    both = at_once(program, scanning(folder), scanning(folder), GENRIFY_TAGGING__HARDLINKS=hardlinks)
    tagged = Counter(result["path"] for told in both for result in told if result["status"] == "tagged")
    assert tagged == dict.fromkeys(map(str, library), 1)
    others = [result for told in both for result in told if result["status"] != "tagged"]
    # "tagged earlier": found by one after the other was done with it.
    assert {result["status"] for result in others} <= {"kept", "unchanged"}
    assert {result["reason"] for result in others} <= {
        *("tagged by run 1", "tagged by run 2", "tagged earlier", "was tagged", "was kept: tagged earlier"),
    }
    assert all(result["after"] for result in others)
    assert sum(changes(program)) == FILES
    again = results(start(program, *scanning(folder), GENRIFY_TAGGING__HARDLINKS=hardlinks))
    assert {result["status"] for result in again} <= {"unchanged", "kept"}
    assert not list(folder.rglob(".genrify*"))


def test_four_scans_that_begin_with_the_database(program, library, tmp_path):
    folder = tmp_path / "music"
    told = at_once(program, *[scanning(folder, "--jobs", "1")] * 4)
    tagged = Counter(result["path"] for one in told for result in one if result["status"] == "tagged")
    assert tagged == dict.fromkeys(map(str, library), 1)
    assert {result["error"] for one in told for result in one} == {None}


def test_two_scans_that_replace_what_is_there(program, tmp_path):
    folder = tmp_path / "music"
    library = [media.make("flac", folder, f"{i:02}", genre="Polka") for i in range(FILES)]
    both = at_once(program, *[scanning(folder, "--existing", "replace")] * 2)
    assert {result["error"] for told in both for result in told} == {None}
    assert sum(changes(program)) == len(library)


def test_a_dry_run_beside_a_scan(program, library, tmp_path):
    folder = tmp_path / "music"
    both = at_once(program, scanning(folder), scanning(folder, "--dry-run"))
    assert {result["error"] for told in both for result in told} == {None}
    assert changes(program) == [FILES]


def test_two_undos(program, library, tmp_path):
    folder = tmp_path / "music"
    before = {path: path.read_bytes() for path in library}
    program(*scanning(folder))
    both = at_once(program, *[("undo", "1", "--format", "jsonl")] * 2)
    done = Counter(result["status"] for told in both for result in told)
    assert done == {"tagged": FILES, "kept": len(both[0]) + len(both[1]) - FILES}
    reasons = {result["reason"] for told in both for result in told if result["status"] == "kept"}
    assert reasons <= {"undone by run 2", "undone by run 3"}
    assert {path: path.read_bytes() for path in library} == before
    reasons = {result["reason"] for result in results(start(program, *scanning(folder)))}
    assert reasons == {"was skipped: its genre was undone since; --force writes again"}


def test_setting_by_hand_beside_a_scan(program, library, tmp_path):
    both = at_once(program, scanning(tmp_path / "music"), ("set", *library, "Tango", "--format", "jsonl"))
    assert {result["status"] for result in both[1]} == {"tagged"}
    assert {result["error"] for result in both[0]} == {None}
    assert {genre_of(path) for path in library} == {"Tango"}
    reasons = {result["reason"] for result in results(start(program, *scanning(tmp_path / "music")))}
    assert reasons <= {"was kept: set by hand", "set by hand"}


def test_a_scan_beside_the_service(program, library, tmp_path):
    folder = tmp_path / "music"
    service = start(program, "watch", folder, "--settle", "0.2", *SURE)
    time.sleep(1.0)
    told = results(start(program, *scanning(folder)))
    deadline = time.monotonic() + 60
    while sum(changes(program)) < FILES and time.monotonic() < deadline:
        time.sleep(0.5)
    time.sleep(3.0)
    service.send_signal(signal.SIGTERM)
    out, err = service.communicate(timeout=60)
    assert {result["error"] for result in told} == {None}
    assert sum(changes(program)) == FILES
    assert "changed by another program" not in out + err and "failed" not in out


def test_an_older_undo_names_the_run_that_came_after(program, tmp_path):
    song = media.make("flac", tmp_path / "music")
    program(*scanning(song))
    program("set", song, "Tango")
    refused = json.loads(program("undo", "1", "--format", "jsonl", status=1).stdout)
    assert refused["error"] == "run 2 set the genre since; undo run 2 first"
    program("undo", "2")
    program("undo", "1")
    assert genre_of(song) is None


class TestJournalOfAnotherRun:
    """What the journal tells of a file that another run has changed, as tests of whole scans seldom meet it."""

    KEY = "a song"

    @pytest.fixture
    def session(self, tmp_path):
        settings = load_settings(environ={}, overrides={"database.url": str(tmp_path / "library.db")}).settings
        with open_session(settings) as opened:
            yield opened

    @pytest.fixture
    def song(self, tmp_path) -> Path:
        path = tmp_path / "old" / "song.mp3"
        path.parent.mkdir()
        path.write_text("audio")
        return path

    def begin(self, session: Session, path: Path) -> int:
        run = session.store.start_run("scan")
        found = {"stat_before": file_stat(str(path)), "audio_key": self.KEY, "origin": "scan"}
        return session.store.begin_change(run=run, path=str(path), field="genre", before=None, after=b"Jazz", **found)

    def finish(self, session: Session, change: int, path: Path) -> None:
        path.write_text("audio and genre")
        session.store.finish_change(change, "done", stat_after=file_stat(str(path)))

    def test_a_run_that_lost_the_race_changes_the_ctime_only(self, session, song):
        found = file_stat(str(song))
        self.finish(session, self.begin(session, song), song)
        song.rename(song.with_name("x")).rename(song)
        assert change_in_flight(session, str(song), found).run == 1
        song.write_text("audio and another genre")
        assert change_in_flight(session, str(song), found) is None

    def test_a_change_before_the_file_was_found_is_none_since(self, session, song):
        self.finish(session, self.begin(session, song), song)
        song.chmod(0o600)
        assert change_in_flight(session, str(song), file_stat(str(song))) is None

    def test_while_others_lose_the_race_the_winner_is_still_named(self, session, song):
        found = file_stat(str(song))
        self.finish(session, self.begin(session, song), song)
        done = threading.Event()

        def lose() -> None:
            while not done.wait(0.002):
                change = self.begin(session, song)
                kept = song.rename(song.with_name("kept"))
                song.write_text("of the one that loses")
                kept.rename(song)
                session.store.finish_change(change, "failed", error="the file was changed meanwhile")

        losers = threading.Thread(target=lose)
        losers.start()
        try:
            winners = [change_in_flight(session, str(song), found) for _ in range(60)]
        finally:
            done.set()
            losers.join()
        assert [winner and winner.run for winner in winners] == [1] * 60

    def test_a_song_that_was_moved_and_changed_there(self, session, song, tmp_path):
        found = file_stat(str(song))
        new = song.rename(tmp_path / "new.mp3")
        self.finish(session, self.begin(session, new), new)
        assert change_in_flight(session, str(song), found, audio_key=self.KEY).path == str(new)
        assert change_in_flight(session, str(song), found) is None  # it is not known which song it was

    def test_a_copy_that_was_changed_is_not_the_song_that_is_gone(self, session, song, tmp_path):
        found = file_stat(str(song))
        copy = tmp_path / "copy.mp3"
        copy.write_text("audio")
        self.finish(session, self.begin(session, copy), copy)
        song.unlink()
        assert change_in_flight(session, str(song), found, audio_key=self.KEY) is None

    def test_a_write_that_was_begun_before_the_song_was_moved_is_waited_for(self, session, song, tmp_path):
        change = self.begin(session, song)
        new = song.rename(tmp_path / "new.mp3")
        assert not wait_for_write(session, str(new))
        timer = threading.Timer(0.5, self.finish, (session, change, new))
        timer.start()
        assert wait_for_write(session, str(new), self.KEY)
        assert new.read_text() == "audio and genre"
        timer.join()
