"""Hostile files, by the thousand: at worst one plain error message each, in bounded time and memory.

The usual run takes about a minute. The long run has the marker `torture`, with its size and seed in the environment:

    GENRIFY_HOSTILE_COUNT=100000 GENRIFY_HOSTILE_SEED=7 pytest -m torture tests/test_hostile.py

A failing mutant is reproduced by `tests.hostile.mutant(seed, index)`; both numbers are in its file's name.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from genrify_tagger.analysis import Analysis
from genrify_tagger.errors import GenrifyError
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers
from tests import hostile, hostile_made, media
from tests.hostile_run import Compare, Cost, compare_fields, digest, handle
from tests.program import Program

SECONDS = 20.0  # for reading, two writes and two undos of one file, on a busy machine
MEMORY = 70.0  # MiB that one file may cost the program itself, which needs some 90 for other things
WHOLE = 150.0  # MiB that the program itself may take to scan them
SURE = ("--min-confidence", "0.05")
TIME_LIMIT = 1.5  # seconds: the giants use it up, the others need a fraction of it
CI_SEED = 20261123


@pytest.fixture
def folder() -> Iterator[Path]:
    # In memory where possible: every write is forced to disk, thousands of times.
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def night() -> tuple[int, int]:
    count, seed = os.environ.get("GENRIFY_HOSTILE_COUNT", "20000"), os.environ.get("GENRIFY_HOSTILE_SEED", "1")
    return int(count), int(seed)


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"still not done after {seconds:g} s")

    former = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


def run_through_tags(files: Iterable[hostile.Hostile], folder: Path, compare: Compare = compare_fields) -> Counter[str]:
    """Read, write and undo each; collect what failed so that one run shows all."""
    outcomes: Counter[str] = Counter()
    failures: list[str] = []
    seconds = memory = 0.0
    for file in files:
        path = file.write(folder)
        try:
            with deadline(SECONDS):
                cost = handle(str(path), compare)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this test is about
            failures.append(f"{file.name}: {type(error).__name__}: {error}")
        else:
            outcomes[cost.outcome] += 1
            seconds, memory = max(seconds, cost.seconds), max(memory, cost.memory)
            failures += _excess(cost)
        path.unlink()
        assert not list(folder.iterdir())
    print(f"{outcomes.total()} files, at most {seconds:.1f} s and {memory:.1f} MiB:", dict(outcomes))
    assert failures == []
    return outcomes


def _excess(cost: Cost) -> list[str]:
    return [f"{cost.name}: {cost.memory:.0f} MiB of memory"] if cost.memory > MEMORY else []


def test_mutants_are_refused_or_written_and_undone(folder: Path) -> None:
    outcomes = run_through_tags((hostile.mutant(CI_SEED, index) for index in range(800)), folder)
    # Neither has the mutation become so wild that nothing is left to write, nor so tame that nothing is refused.
    assert outcomes["undone"] > 200
    assert outcomes["refused when read: TagReadError"] > 100


@pytest.mark.parametrize("maker", hostile_made.MADE, ids=lambda maker: maker.__name__)
def test_built_files_are_refused_or_written_and_undone(
    maker: object, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Workers(jobs=1, segments=8) as workers:  # where the program has mutagen look, under their limits
        outcomes = run_through_tags(maker(), folder, workers.compare_tags)  # type: ignore[operator]
    assert outcomes.total() >= 15
    assert not caplog.records


def test_mutants_are_the_same_everywhere() -> None:
    assert [hostile.mutant(3, n).data for n in range(20)] == [hostile.mutant(3, n).data for n in range(20)]
    assert len({hostile.mutant(3, n).data for n in range(200)}) > 190


def test_workers_survive_and_stay_within_their_limits(folder: Path) -> None:
    """What no other reader of tags or audio stands: the made files and giants, then a song, by the same processes."""
    files = [file.write(folder) for maker in (hostile_made.small, hostile_made.bombs) for file in maker()]
    files += [file.write(folder) for file in (hostile.mutant(CI_SEED + 1, n) for n in range(100))]
    files += hostile_made.giants(folder)
    before = {path: (digest(path), path.stat().st_mtime_ns) for path in files}
    limits = Limits(time_limit=TIME_LIMIT)
    with Workers(jobs=2, segments=8, limits=limits) as workers:
        outcomes = Counter(_analyse(workers, path, limits) for path in files)
        song = media.make("mp3-v2.4", folder, "song")
        assert isinstance(workers.analyse(str(song), duration=workers.probe(str(song)).duration), Analysis)
    assert outcomes["analysed"] > 30
    assert outcomes["DecodeError"] > 30
    assert {path: (digest(path), path.stat().st_mtime_ns) for path in files} == before


def _analyse(workers: Workers, path: Path, limits: Limits) -> str:
    begin = time.monotonic()
    try:
        sound = workers.probe(str(path))
        workers.analyse(str(path), duration=min(sound.duration, 1200))
    except GenrifyError as error:
        assert str(error).isprintable()
        assert time.monotonic() - begin < 2 * limits.time_limit + 10, path.name
        return type(error).__name__
    return "analysed"


def scan_and_undo(program: Program, folder: Path) -> Counter[str]:
    """Scan a folder with the installed program, watch it, hold what it says against what it did, and take it back."""
    files = [path for path in folder.iterdir() if path.is_file()]
    before = {path: (digest(path), path.stat().st_mtime_ns) for path in files}
    memory, results = _watched_scan(program, folder)
    print(f"the program itself took {memory:.0f} MiB")
    assert memory < WHOLE, f"the program itself took {memory:.0f} MiB"
    assert sorted(result["path"] for result in results) == sorted(map(str, files))
    tagged = {result["path"] for result in results if result["status"] == "tagged"}
    for path, (former, mtime) in before.items():
        changed = digest(path) != former
        assert changed == (str(path) in tagged), f"{path.name} was {'changed' if changed else 'not changed'}"
        assert changed or path.stat().st_mtime_ns == mtime
    for result in results:
        words = result["error"] or result["reason"] or ""
        assert words.isprintable() and "Error" not in words and "b'" not in words, result
        assert words or result["status"] != "failed"
    if tagged:
        program("undo", status=None)
    for path, (former, _) in before.items():
        assert digest(path) == former, f"{path.name} did not come back"
    assert set(folder.iterdir()) == set(files)
    return Counter(result["status"] for result in results)


def _watched_scan(program: Program, folder: Path) -> tuple[float, list[dict[str, object]]]:
    import json

    output, errors = program.home / "out.jsonl", program.home / "err.txt"
    command = program.command("scan", "--format", "jsonl", *SURE, folder)
    environment = program.environment(GENRIFY_ANALYSIS__TIME_LIMIT_SECONDS=str(TIME_LIMIT))
    with output.open("w") as out, errors.open("w") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)
        memory = 0.0
        while process.poll() is None:
            memory = max(memory, _peak_of(process.pid))
            time.sleep(0.05)
    assert process.returncode in (0, 1), errors.read_text()[-2000:]
    assert "Traceback" not in errors.read_text()
    return memory, [json.loads(line) for line in output.read_text().splitlines()]


def _peak_of(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def test_the_installed_program_scans_a_folder_of_hostile_files(folder: Path, program: Program) -> None:
    for file in (*hostile_made.made(), *(hostile.mutant(CI_SEED + 2, n) for n in range(150))):
        file.write(folder)
    hostile_made.giants(folder)
    media.make("flac", folder, "honest")
    statuses = scan_and_undo(program, folder)
    assert statuses["tagged"] > 50
    assert statuses["failed"] > 50


@pytest.mark.torture
def test_mutants_through_the_tags_all_night(folder: Path) -> None:
    count, seed = night()
    run_through_tags((hostile.mutant(seed, index) for index in range(count)), folder)


@pytest.mark.torture
def test_mutants_through_the_installed_program_all_night(folder: Path, tmp_path: Path) -> None:
    count, seed = night()
    total: Counter[str] = Counter()
    for batch in range(max(1, count // 10_000)):
        for index in range(1000):
            hostile.mutant(seed + 1, batch * 1000 + index).write(folder)
        home = tmp_path / f"home-{batch}"
        home.mkdir()
        total += scan_and_undo(Program(home), folder)
        for path in folder.iterdir():
            path.unlink()
        shutil.rmtree(home)
    assert total.total() >= min(count, 1000)
    print(dict(total))
