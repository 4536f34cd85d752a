"""kill -9 at any instant leaves the old file or the new one, nothing else, and a journal that agrees."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from genrify_tagger.classifier import load_sidecar
from tests.program import Program
from tests.torture import songs
from tests.torture.harness import Server, server
from tests.torture.server import CALLS
from tests.torture.songs import GENRE, SPECIMENS, Song
from tests.torture.state import check_all, fresh_database, pending, start_again, strays

IN_PLACE = {"hardlinks": "in-place"}
ROOT = os.geteuid() == 0
LABELS = load_sidecar().labels()


@pytest.fixture(scope="module")
def killer():
    with server(songs.clip(), "signal=KILL") as started:
        yield started


def kill_everywhere(
    killer: Server, tmp_path: Path, specimen: str, tagging: dict, *, verb: str, linked: bool, stride: int
) -> int:
    """Write or undo, with the process killed at each call that changes anything; return the number of these calls.

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


@pytest.mark.parametrize(
    ("way", "verb"),
    [("replaced", "set"), ("in place", "set"), pytest.param("replaced", "undo", marks=pytest.mark.torture)],
)
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


class Library:
    """Songs of every specimen, some with another name, a link or another owner, and the tasks on them."""

    def __init__(self, folder: Path, specimens: Sequence[str]) -> None:
        self.folder = folder
        self.songs: list[Song] = []
        self.paths: list[Path] = []
        for number, specimen in enumerate(specimens):
            song = songs.place(specimen, folder, linked=number % 3 == 1, owned=ROOT and number % 3 == 2)
            self.songs.append(song)
            self.paths.append(self._linked_to(song.path) if number % 4 == 3 else song.path)

    def _linked_to(self, path: Path) -> Path:
        link = self.folder.with_name("links") / path.name
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(path)
        return link

    def check(self, database: str) -> int:
        for song in self.songs:
            assert song.twin is None or song.path.samefile(song.twin)
        return check_all(database, self.folder.parent, self.songs)


def kill_at_random(tmp_path: Path, specimens: Sequence[str], *, cut_off: int, seed: int) -> Counter[str]:
    """Write and undo, killed at random moments, until enough writes have been interrupted."""
    dice, seen, duration = random.Random(seed), Counter(), 1.0
    library = Library(tmp_path / "music", specimens)
    database = fresh_database(tmp_path / "genrify.db")
    with server(songs.clip()) as started:
        while seen["writes cut off"] < cut_off:
            order = list(range(len(library.paths)))
            dice.shuffle(order)
            tagging = {**IN_PLACE, "keep_mtime": dice.random() < 0.5}
            before = library.check(database)
            verb = "undo" if before == len(order) or (before and dice.random() < 0.5) else "set"
            begun = time.monotonic()
            pid = started.begin(verb, database, [library.paths[i] for i in order], genres=[GENRE], tagging=tagging)
            time.sleep(dice.uniform(0, duration))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if started.end().status == 0:
                duration = time.monotonic() - begun
            seen["kills"] += 1
            seen["writes cut off"] += pending(database)
            seen["stray files"] += len(strays(library.folder.parent))
            seen["half-written"] += sum(song.path.read_bytes() not in (song.old, song.new) for song in library.songs)
            start_again(database)
            seen["files changed"] += abs(library.check(database) - before)
    print(", ".join(f"{count} {what}" for what, count in seen.items()), "before the next start; after it: none damaged")
    return seen


def test_killed_at_random_moments_of_writes_of_every_kind(tmp_path):
    assert kill_at_random(tmp_path, SPECIMENS, cut_off=6, seed=1)["kills"] >= 6


@pytest.mark.torture
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_moments_of_500_writes(tmp_path, seed):
    for specimen in SPECIMENS:
        old, new = (tmp_path / f"{state}{songs.original(specimen).suffix}" for state in ("old", "new"))
        for path, content in zip((old, new), songs.contents(specimen), strict=True):
            path.write_bytes(content)
        assert songs.decoded(old) == songs.decoded(new)
    assert kill_at_random(tmp_path, SPECIMENS, cut_off=100, seed=seed)["kills"] >= 100


def kill_program(tmp_path: Path, program: Program, *, rounds: int, seed: int) -> Counter[str]:
    """Kill the installed program with its workers while it scans, sets and undoes."""
    dice, seen = random.Random(seed), Counter()
    library = Library(tmp_path / "music", SPECIMENS)
    settings = Path(program("config", "path").stdout.strip())
    settings.parent.mkdir(parents=True)
    names = "".join(f'{label} = "{GENRE}"\n' for label in LABELS)  # whatever is decided, the same name is written
    rules = 'existing = "replace"\nhardlinks = "in-place"\nmin_confidence = 0.01\n'
    settings.write_text(f"[tagging]\n{rules}[tagging.names]\n{names}")
    program("scan", "--dry-run", library.folder)
    database = str(program.database)
    for _ in range(rounds):
        before = library.check(database)
        verbs = {
            "set": ["set", *library.paths, GENRE],
            "undo": ["undo", "--path", library.folder],
            "scan": ["scan", "--force", library.folder],
        }
        verb = "undo" if before == len(library.paths) else dice.choice(list(verbs) if before else ["set", "scan"])
        seen["writes cut off"] += killed_while_running(program, verbs[verb], dice.uniform(0, 1.5))
        seen["kills"] += 1
        program("undo", "--dry-run", status=None)
        seen["files changed"] += abs(library.check(database) - before)
    print("installed program:", ", ".join(f"{count} {what}" for what, count in seen.items()))
    return seen


def killed_while_running(program: Program, command: list[str | Path], delay: float) -> int:
    """Run a command, kill it so long after its first result, and return how many writes that has cut off."""
    process = subprocess.Popen(
        program.command(*command, "--format", "jsonl"),
        env=program.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        time.sleep(delay)
        process.kill()
        assert b"Traceback" not in process.stderr.read()
    return pending(str(program.database))


def test_the_installed_program_is_killed(program, tmp_path):
    assert kill_program(tmp_path, program, rounds=3, seed=2)["files changed"]


@pytest.mark.torture
def test_the_installed_program_is_killed_60_times(program, tmp_path):
    assert kill_program(tmp_path, program, rounds=60, seed=3)["files changed"] > 60
