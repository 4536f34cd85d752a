"""kill -9 at any instant leaves the old file or the new one, nothing else, and a journal that agrees."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.torture import songs
from tests.torture.harness import Server, server
from tests.torture.server import CALLS
from tests.torture.songs import GENRE, Song
from tests.torture.state import check_all, fresh_database, start_again

IN_PLACE = {"hardlinks": "in-place"}
ROOT = os.geteuid() == 0


@pytest.fixture(scope="module")
def killer():
    with server(songs.clip(), "signal=KILL") as started:
        yield started


def kill_everywhere(
    killer: Server, tmp_path: Path, specimen: str, tagging: dict, *, verb: str, linked: bool, stride: int
) -> int:
    """Write or take back, with the process killed at each call by which it changes anything; return how many those are.

    The database writes page by page: of these calls only every `stride`-th is chosen.
    """

    def survived(call: str, nth: int) -> bool:
        database = fresh_database(tmp_path / "genrify.db")
        song = songs.place(specimen, tmp_path / "music", linked=linked, owned=ROOT)
        if verb == "undo":
            assert killer.run("set", database, [song.path], genres=[GENRE], tagging=tagging).status == 0
        outcome = killer.run(verb, database, [song.path], genres=[GENRE], tagging=tagging, hits=[(call, nth)])
        if tagging.get("hardlinks") != "in-place":
            song.is_old()
        start_again(database)
        written = check_all(database, tmp_path / "music", [song])
        check_inode(song, tagging)
        remove(song)
        assert outcome.status in (0, -signal.SIGKILL)
        assert outcome.status or written == (verb == "set")
        return outcome.status == 0

    points = 0
    for call in CALLS:
        nth = 1
        while not survived(call, nth):
            points += 1
            nth += stride if call == "pwrite64" else 1
    return points


def check_inode(song: Song, tagging: dict) -> None:
    if song.twin is not None and tagging["hardlinks"] == "in-place":
        assert song.path.samefile(song.twin)
    if song.twin is not None and tagging["hardlinks"] == "break":
        assert song.twin.read_bytes() == song.old
    if ROOT:
        assert (song.path.stat().st_uid, song.path.stat().st_mode & 0o7777) == (songs.STRANGER, 0o640)


def remove(song: Song) -> None:
    song.path.unlink()
    if song.twin is not None:
        song.twin.unlink()


WAYS = {
    "replaced": ("mp3-v2.3:", {}, False),
    "in place": ("flac:", IN_PLACE, True),
    "link broken": ("ogg-vorbis:Oldies", {"hardlinks": "break", "keep_mtime": True}, True),
}


@pytest.mark.parametrize(("way", "verb"), [("replaced", "set"), ("replaced", "undo"), ("in place", "set")])
def test_killed_at_each_system_call_of_a_write(killer, tmp_path, way, verb):
    specimen, tagging, linked = WAYS[way]
    points = kill_everywhere(killer, tmp_path, specimen, tagging, verb=verb, linked=linked, stride=5)
    print(f"{verb}, {way}: {points} kill points")
    assert points > 25


@pytest.mark.torture
@pytest.mark.parametrize("verb", ["set", "undo"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("specimen", ["mp3-v2.3:Oldies", "v22", "with-apev2", "m4a-aac:", "wav:", "opus:", "wma:"])
def test_killed_at_each_system_call_of_a_write_of_many_kinds(killer, tmp_path, way, verb, specimen):
    _, tagging, linked = WAYS[way]
    points = kill_everywhere(killer, tmp_path, specimen, tagging, verb=verb, linked=linked, stride=1)
    print(f"{verb}, {way}, {specimen}: {points} kill points")
    assert points > 40


def test_the_next_start_is_killed_too(killer, tmp_path):
    database, points = str(tmp_path / "genrify.db"), 0

    def cut_off(nth: int) -> Song:
        fresh_database(tmp_path / "genrify.db")
        song = songs.place("flac-tight", tmp_path / "music", linked=True)
        killer.run("set", database, [song.path], genres=[GENRE], tagging=IN_PLACE, hits=[("pwrite64", nth)])
        return song

    def recovered(song: Song) -> int:
        start_again(database)
        written = check_all(database, tmp_path / "music", [song])
        remove(song)
        return written

    nth, half_written = 0, False
    while not half_written:
        nth += 1
        song = cut_off(nth)
        half_written = song.path.read_bytes() not in (song.old, song.new)
        recovered(song)
        assert nth < 60
    for call in ("openat", "pwrite64", "fallocate", "ftruncate", "fsync", "unlink"):
        status, at = -signal.SIGKILL, 0
        while status:
            at, points = at + 1, points + 1
            song = cut_off(nth)
            status = killer.run("start", database, [], hits=[(call, at)]).status
            assert recovered(song) == 0
    print(f"next start: {points} kill points")
