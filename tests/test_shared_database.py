"""Several processes and hosts that share one database: each file has one process at a time, also when some are killed.

Hosts with a network of their own are in `test_network_faults`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import mediafile
import pytest
from sqlalchemy import update

from genrify_tagger import tags
from genrify_tagger.config import load_settings
from genrify_tagger.errors import ChangedMeanwhileError
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline import ScanOptions, TagWriter, open_session
from genrify_tagger.pipeline.journalled_write import begin_change
from genrify_tagger.pipeline.scan_folders import scan_folders
from genrify_tagger.process_identity import this_process
from genrify_tagger.store import LEASE, open_store, utc_now
from genrify_tagger.store.claims import Claims
from genrify_tagger.store.tables import PROCESSES
from tests import media
from tests.program import Program
from tests.store_databases import BACKENDS, new_url

ELSEWHERE = "nas|another boot|pid:[1]|7|1"  # a process on another host
SURE = ("--min-confidence", "0.05", "--segments", "1", "--jobs", "1")
FILES = 24
INTERRUPTED = (
    "run {run} on {host} was interrupted while it wrote this file; the next start of genrify-tag on {host} repairs it"
)


@pytest.fixture(params=BACKENDS)
def url(request, tmp_path):
    return new_url(request.param, tmp_path)


@pytest.fixture
def store(url):
    with open_store(url) as opened:
        yield opened


def silence(store: Claims, owner: str, seconds: float) -> None:
    """Let the last sign of life of a process be so long ago."""
    with store.write() as connection:
        seen = utc_now() - timedelta(seconds=seconds)
        connection.execute(update(PROCESSES).where(PROCESSES.c.owner == owner).values(seen_at=seen))


class TestClaims:
    def test_a_file_belongs_to_the_first(self, store):
        assert store.claim_files(ELSEWHERE, ["/a", "/b"]) == {"/a", "/b"}
        assert store.claim_files(this_process(), ["/a", "/c"]) == {"/c"}
        assert store.claim_files(this_process(), ["/c"]) == {"/c"}
        store.release_files(ELSEWHERE, ["/a", "/c"])
        assert store.claim_files(this_process(), ["/a", "/b", "/c"]) == {"/a", "/c"}

    def test_a_host_that_is_silent_loses_its_claims_and_one_that_is_not_keeps_them(self, store):
        store.claim_files(ELSEWHERE, ["/a"])
        silence(store, ELSEWHERE, LEASE.total_seconds() - 5)
        assert store.claim_files(this_process(), ["/a"]) == set()
        silence(store, ELSEWHERE, LEASE.total_seconds() + 5)
        assert store.claim_files(this_process(), ["/a"]) == {"/a"}
        assert store.claim_files(ELSEWHERE, ["/a"]) == set()

    def test_a_sign_of_life_keeps_a_claim(self, store):
        store.claim_files(ELSEWHERE, ["/a"])
        silence(store, ELSEWHERE, LEASE.total_seconds() + 5)
        store.beat(ELSEWHERE)
        assert store.claim_files(this_process(), ["/a"]) == set()

    def test_a_killed_process_of_this_host_loses_its_claims_at_once(self, store):
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        ended = "|".join([*this_process().split("|")[:3], str(child.pid), "1"])
        store.claim_files(ended, ["/a"])
        assert store.claim_files(this_process(), ["/a"]) == {"/a"}

    def test_a_process_that_ends_leaves_nothing(self, store):
        store.claim_files(ELSEWHERE, ["/a"])
        store.forget_process(ELSEWHERE)
        assert store.claim_files(this_process(), ["/a"]) == {"/a"}

    def test_paths_that_are_no_text(self, store):
        path = os.fsdecode(b"/\xff/\xc3\xa4")
        assert store.claim_files(ELSEWHERE, [path]) == {path}
        assert store.claim_files(this_process(), [path]) == set()


class TestChangeInProgress:
    """One process changes a file at a time; who was interrupted elsewhere is named."""

    @pytest.fixture
    def song(self, tmp_path) -> Path:
        return media.make("flac", tmp_path / "music", "song")

    @pytest.fixture
    def session(self, url):
        with open_session(load_settings(environ={}, overrides={"database.url": url}).settings) as opened:
            yield opened

    def begin(self, store, song: Path, *, claimed_by: str | None = None) -> int:
        found = {"stat_before": file_stat(str(song)), "audio_key": "key", "origin": "scan", "claimed_by": claimed_by}
        change = {"field": "genre", "before": None, "after": b"Jazz", **found}
        return store.begin_change(run=store.start_run("scan"), path=str(song), **change)

    def begin_elsewhere(self, store, song: Path, monkeypatch, owner: str = ELSEWHERE) -> int:
        with monkeypatch.context() as there:
            there.setattr("genrify_tagger.store.runs.this_process", lambda: owner)
            return self.begin(store, song)

    def test_a_write_elsewhere_is_refused_by_name_and_waited_for(self, store, song, monkeypatch):
        change = self.begin_elsewhere(store, song, monkeypatch)
        with pytest.raises(ChangedMeanwhileError, match="run 1 on nas is writing this file"):
            self.begin(store, song)
        store.finish_change(change, "failed")
        assert self.begin(store, song)

    def test_a_host_that_was_killed_while_it_wrote_is_named(self, program, url, song, monkeypatch):
        with open_store(url) as store:
            self.begin_elsewhere(store, song, monkeypatch)
            with store.write() as connection:
                connection.exec_driver_sql(f"UPDATE changes SET created_at = '{utc_now() - timedelta(seconds=40)}'")
        before = song.read_bytes()
        for command in (("scan", song, *SURE), ("set", song, "Tango")):
            told = json.loads(program(*command, "--database", url, "--format", "jsonl", status=1).stdout)
            assert told["status"] == "failed"
            named = (
                "run 1 on nas was interrupted while it wrote this file; the next start of genrify-tag on nas repairs it"
            )
            assert told["error"] == named
        assert song.read_bytes() == before

    def test_its_next_start_repairs_the_file(self, program, url, song, monkeypatch):
        """The same host after a reboot: its pending change is resolved, and the file can be tagged."""
        host, _, *rest = this_process().split("|")
        with open_store(url) as store:
            change = self.begin_elsewhere(store, song, monkeypatch, "|".join((host, "an earlier boot", *rest)))
        program("set", song, "Tango", "--database", url)
        with open_store(url) as store:
            found = store.change(change)
            assert (found.state, found.error) == ("failed", "interrupted before the file was replaced")
        assert mediafile.MediaFile(song).genre == "Tango"

    def test_a_claim_that_was_taken_over_forbids_the_write(self, store, song):
        store.claim_files(this_process(), [str(song)])
        assert self.begin(store, song, claimed_by=this_process())
        other = media.make("flac", song.parent, "other")
        store.claim_files(ELSEWHERE, [str(other)])
        with pytest.raises(ChangedMeanwhileError, match="silent for too long, and a process on nas took the file over"):
            self.begin(store, other, claimed_by=this_process())

    def test_a_write_that_was_killed_here_meanwhile_is_resolved_first(self, session, song, monkeypatch):
        from genrify_tagger.pipeline import set_genres

        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        ended = "|".join([*this_process().split("|")[:3], str(child.pid), "1"])
        change = self.begin_elsewhere(session.store, song, monkeypatch, ended)
        [result] = set_genres(session, session.store.start_run("set"), [str(song)], ("Tango",))
        assert (result.status, session.store.change(change).state) == ("tagged", "failed")

    def test_a_file_of_a_killed_process_is_taken_over_with_its_write(self, session, song, monkeypatch):
        """The process was killed between the replacement of the file and the end of its entry in the journal."""
        child = subprocess.Popen([sys.executable, "-c", ""])
        child.wait()
        ended = "|".join([*this_process().split("|")[:3], str(child.pid), "1"])
        session.store.claim_files(ended, [str(song)])
        plan = tags.plan_write(str(song), ("Tango",))
        with monkeypatch.context() as there:
            there.setattr("genrify_tagger.store.runs.this_process", lambda: ended)
            change = begin_change(
                session, session.store.start_run("scan"), plan, origin="scan", audio_key="key", undoes=None
            )
        tags.apply(plan, audio_key=lambda _: "key", expected_key="key")
        run = session.store.start_run("scan")
        [outcome] = scan_folders(session, [str(song)], TagWriter(lambda: run), ScanOptions())
        assert (outcome.status, session.store.change(change).state) == ("kept", "done")


# --- whole scans ---


def scanning(program: Program, url: str, folder: Path, *options: str) -> list[str]:
    words = program.command("scan", folder, *SURE, "--database", url, "--format", "jsonl", *options)
    return [os.fsdecode(word) for word in words]


def start(program: Program, command: list[str]) -> subprocess.Popen[str]:
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=program.environment(), **output)


def results(process: subprocess.Popen[str], status: int | None = 0) -> list[dict]:
    out, err = process.communicate(timeout=200)
    told = [json.loads(line) for line in out.splitlines()]
    wrong = (process.returncode, [one for one in told if one["error"]], err[-2000:])
    assert status in (None, process.returncode), wrong
    return told


def wait_for_changes(url: str, number: int) -> None:
    deadline = time.monotonic() + 60
    with open_store(url) as store:
        while len(list(store.changes())) < number and time.monotonic() < deadline:
            time.sleep(0.1)


def done_changes(url: str) -> Counter[str]:
    with open_store(url) as store:
        return Counter(change.path for change in store.changes() if change.state == "done")


def assert_each_once(url: str, files: list[Path], *survivors: list[dict]) -> None:
    """Every file has its genre from one write, and no surviving run analysed what another did."""
    assert done_changes(url) == dict.fromkeys(map(str, files), 1)
    assert all(mediafile.MediaFile(path).genre for path in files)
    analysed = Counter(one["path"] for told in survivors for one in told if one["status"] == "tagged")
    assert max(analysed.values()) == 1
    for told in survivors:
        assert sorted(one["path"] for one in told) == sorted(map(str, files))
        assert {one["error"] for one in told} == {None}


def music(folder: Path, files: int = FILES) -> list[Path]:
    kinds = ("flac", "mp3-v2.3", "m4a-aac", "ogg-vorbis")
    return [media.make(kinds[i % len(kinds)], folder / str(i // 10), f"{i:02}") for i in range(files)]


def test_scans_share_the_work_and_one_is_killed(program, url, tmp_path):
    files = music(tmp_path / "music")
    command = scanning(program, url, tmp_path / "music")
    first, *others = [start(program, command) for _ in range(3)]
    wait_for_changes(url, 3)
    first.send_signal(signal.SIGKILL)
    told = [results(process) for process in others]
    first.communicate()
    assert_each_once(url, files, *told)
