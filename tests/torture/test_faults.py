"""Disks that fail or are full, permissions that change, others at work on the same file: the end states of a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import songs
from tests.torture.harness import Server, server
from tests.torture.server import CALLS
from tests.torture.songs import GENRE
from tests.torture.state import check_all, fresh_database, start_again, strays

IN_PLACE = {"hardlinks": "in-place"}


def fail_everywhere(failing: Server, tmp_path: Path, specimen: str, *, linked: bool, stride: int) -> int:
    """Write with each call by which anything is changed failing once; return how many those are."""

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
    """Hold what the user was told against the file; where the database failed nothing was told of the file."""
    for result in results:
        if "status" in result:
            settled = "the next start" not in (result["error"] or "")
            assert (result["status"] == "tagged") == (not song.is_old()) or not settled, (where, result)
    song.is_old()


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize(("specimen", "linked"), [("mp3-v2.3:", False), ("flac-tight", True)])
def test_each_call_of_a_write_fails_once(tmp_path, error, specimen, linked):
    with server(songs.clip(), f"error={error}") as failing:
        points = fail_everywhere(failing, tmp_path, specimen, linked=linked, stride=5)
    print(f"{error}, {specimen}: {points} points of failure")
    assert points > 30


def test_a_disk_that_fails_for_good_while_a_file_is_rewritten_in_place(tmp_path):
    with server(songs.clip(), "error=EIO", lasting=True) as failing:
        for call in ("pwrite64", "ftruncate", "fsync"):
            for nth in range(1, 40):
                database = fresh_database(tmp_path / "genrify.db")
                song = songs.place("flac-tight", tmp_path / "music", linked=True)
                failing.run("set", database, [song.path], genres=[GENRE], tagging=IN_PLACE, hits=[(call, nth)])
                start_again(database)
                check_all(database, tmp_path / "music", [song])
                song.path.unlink()
                song.twin.unlink()
