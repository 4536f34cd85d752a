"""Disks that fail or are full, permissions that change, other programs that save the same file: as after a kill."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.media import need
from tests.torture import songs
from tests.torture.harness import ROOT, Server, server
from tests.torture.server import CALLS, LOOKS, WHEN
from tests.torture.songs import GENRE
from tests.torture.state import check_all, fresh_database, pending, start_again, strays

IN_PLACE = {"hardlinks": "in-place"}


def fail_everywhere(failing: Server, tmp_path: Path, specimen: str, *, linked: bool, stride: int) -> int:
    """Write, with each call that changes anything failing once; return the number of these calls."""

    def survived(call: str, nth: int) -> bool:
        database = fresh_database(tmp_path / "genrify.db")
        song = songs.place(specimen, tmp_path / "music", linked=linked)
        outcome = failing.run("set", database, [song.path], genres=[GENRE], tagging=IN_PLACE, hits=[(call, nth)])
        assert outcome.status == 0
        check_word(song, outcome.results, f"{call} {nth}")
        if call != "unlink":
            assert strays(tmp_path / "music") == []
        start_again(database)
        check_all(database, tmp_path / "music", [song])
        for path in (song.path, song.twin):
            if path is not None:
                path.unlink()
        return not outcome.results or outcome.results[0].get("status") == "tagged"

    points = 0
    for call in CALLS:
        unharmed, nth = 0, 1
        while unharmed < 3:  # some failures do no harm: the calls are over when several in a row did none
            unharmed = unharmed + 1 if survived(call, nth) else 0
            nth += stride if call == "pwrite64" else 1
            points += 1
    return points


def check_word(song: songs.Song, results: list, where: str) -> None:
    """Compare what was reported with the file; if the database failed, nothing was reported about the file."""
    for result in results:
        if "status" in result:
            settled = "the next start" not in (result["error"] or "")
            assert (result["status"] == "tagged") == (not song.is_old()) or not settled, (where, result)
    song.is_old()


@pytest.mark.parametrize(
    ("specimen", "linked", "error"),
    [
        ("mp3-v2.3:", False, "ENOSPC"),
        ("flac-tight", True, "EIO"),
        pytest.param("mp3-v2.3:", False, "EIO", marks=pytest.mark.torture),
        pytest.param("flac-tight", True, "ENOSPC", marks=pytest.mark.torture),
    ],
)
def test_each_call_of_a_write_fails_once(tmp_path, error, specimen, linked):
    with server(songs.clip(), f"error={error}") as failing:
        points = fail_everywhere(failing, tmp_path, specimen, linked=linked, stride=5)
    print(f"{error}, {specimen}: {points} points of failure")
    assert points > 30


@pytest.mark.parametrize("stride", [4, pytest.param(1, marks=pytest.mark.torture)])
def test_a_disk_that_fails_for_good_while_a_file_is_rewritten_in_place(tmp_path, stride):
    with server(songs.clip(), "error=EIO", lasting=True) as failing:
        for call in ("pwrite64", "ftruncate", "fsync"):
            for nth in range(1, 40, stride):
                database = fresh_database(tmp_path / "genrify.db")
                song = songs.place("flac-tight", tmp_path / "music", linked=True)
                failing.run("set", database, [song.path], genres=[GENRE], tagging=IN_PLACE, hits=[(call, nth)])
                start_again(database)
                check_all(database, tmp_path / "music", [song])
                song.path.unlink()
                song.twin.unlink()


def save_in_place(path: Path) -> None:
    with open(path, "r+b") as file:
        file.write(THEIRS)
        file.truncate()


def save_by_renaming(path: Path) -> None:
    fresh = path.with_name("theirs.new")
    fresh.write_bytes(THEIRS)
    fresh.rename(path)


THEIRS = b"what another program has saved\0"
OTHERS = {"in place": save_in_place, "by renaming": save_by_renaming}


@pytest.fixture(scope="module")
def stopper():
    with server(songs.clip(), f"{','.join(CALLS | LOOKS)}:signal=STOP") as started:
        yield started


def save_at_each(stopper: Server, tmp_path: Path, save: str, calls: dict[str, int]) -> int:
    """Let another program save the file after each of these calls (in strides); return the number of calls."""
    points = 0
    for call, stride in calls.items():
        stopped, nth = True, 1
        while stopped:
            database = fresh_database(tmp_path / "genrify.db")
            song = songs.place("mp3-v2.3:", tmp_path / "music")
            meanwhile = functools.partial(OTHERS[save], song.path)
            outcome = stopper.run("set", database, [song.path], meanwhile, genres=[GENRE], hits=[(call, nth)])
            stopped, nth, points = outcome.stopped, nth + stride, points + 1
            assert outcome.status == 0
            assert song.path.read_bytes() == THEIRS or not stopped, (call, nth, outcome.results)
            assert strays(tmp_path / "music") == []
            assert pending(database) == 0
            song.path.unlink()
    return points


@pytest.mark.parametrize("save", OTHERS)
def test_another_program_saves_the_file_in_the_middle_of_a_write(stopper, tmp_path, save):
    calls = {"newfstatat": 4, "write": 1, "fsync": 1, "fchmod": 1, "renameat2": 1, "unlink": 1}
    points = save_at_each(stopper, tmp_path, save, calls)
    print(f"saved {save}: {points} moments")
    assert points > 20


@pytest.mark.torture
@pytest.mark.parametrize("save", OTHERS)
def test_another_program_saves_the_file_after_any_call_of_a_write(stopper, tmp_path, save):
    points = save_at_each(stopper, tmp_path, save, dict.fromkeys(CALLS | LOOKS, 1))
    print(f"saved {save}: {points} moments")
    assert points > 100


@pytest.mark.parametrize("save", OTHERS)
def test_killed_right_after_taking_what_another_program_has_saved(tmp_path, save):
    # To put theirs back would be the second exchange.
    with server(songs.clip(), "newfstatat:signal=STOP", "renameat2:signal=KILL") as stopper:

        def saved_at(nth: int) -> tuple[bool, bool]:
            """Return whether there was such a look at the file, and whether theirs was taken and had to be put back."""
            database = fresh_database(tmp_path / "genrify.db")
            song = songs.place("mp3-v2.3:", tmp_path / "music")
            meanwhile = functools.partial(OTHERS[save], song.path)
            hits = [("newfstatat", nth), ("renameat2", 2)]
            stopped = stopper.run("set", database, [song.path], meanwhile, genres=[GENRE], hits=hits).stopped
            taken = stopped and song.path.read_bytes() == song.new
            start_again(database)
            assert song.path.read_bytes() == (THEIRS if stopped else song.new), nth
            assert strays(tmp_path / "music") == []
            assert pending(database) == 0
            song.path.unlink()
            return stopped, taken

        low, high = 1, WHEN
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if saved_at(middle)[0] else (low, middle)
        back = next(back for back in range(low) if saved_at(low - back)[1])
        print(f"taken {back} looks before the last")


@pytest.mark.parametrize("play", ["full", "full_database", "read_only", "permissions"])
def test_disks(tmp_path, play):
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    command = [need("unshare"), "-m", sys.executable, "-m", "tests.torture.disk", play, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
