"""Measure the service: how soon a file is tagged, what it costs while nothing happens, and when very much does.

python -m tests.benchmarks.service                    everything (about ten minutes)
python -m tests.benchmarks.service latency drop idle week storm
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.benchmarks import unchanged
from tests.program import Program
from tests.storm import voice
from tests.watching import Watching, changes, genre, until, watching

Figures = dict[str, float]
FILES = 100_000


@contextmanager
def place() -> Iterator[tuple[Program, Path]]:
    """Give a home and an empty root."""
    with tempfile.TemporaryDirectory(prefix="genrify-service-") as name:
        music = Path(name) / "music"
        music.mkdir()
        yield Program(Path(name)), music


def memory(service: Watching) -> float:
    """Return the service's resident megabytes, without the worker processes."""
    return psutil.Process(service.process.pid).memory_info().rss / 2**20


def latency(folder: Path) -> Figures:
    """From a file's last byte to its tag, with the default settle time: first file ever, and later ones."""
    found = []
    with place() as (program, music), watching(program, music, settle=10) as service:
        service.rest()
        for number in range(5):
            path = music / f"{number}.mp3"
            path.write_bytes(voice(number * 97))
            began = time.monotonic()
            while not genre(path):
                time.sleep(0.01)
            found.append(time.monotonic() - began)
    return {"first file, s": found[0], "later files, median, s": sorted(found[1:])[2], "slowest, s": max(found)}


def drop(folder: Path) -> Figures:
    """A thousand files at once."""
    with place() as (program, music), watching(program, music, settle=10) as service:
        service.rest()
        began = time.monotonic()
        for number in range(1000):
            (music / f"{number}.mp3").write_bytes(voice(number * 7))
        until(lambda: len(changes(service)) >= 1000, seconds=1800)
        seconds = time.monotonic() - began
        time.sleep(12)
        tagged = sum(bool(genre(path)) for path in music.iterdir())
        return {"files tagged": tagged, "changes made": len(changes(service)), "s": seconds, "MB": memory(service)}


@contextmanager
def large(folder: Path) -> Iterator[tuple[Watching, Path]]:
    """Watch a library of 100,000 files that are all known."""
    home = folder / "watched"
    music, database = home / "music", home / "library.db"
    if not database.exists():
        unchanged._build(music, database, FILES)
    with tempfile.TemporaryDirectory(prefix="genrify-service-") as name:
        program = Program(Path(name))
        program.database.parent.mkdir(parents=True)
        shutil.copy(database, program.database)
        with watching(program, music, settle=1, options=()) as service:
            began = time.monotonic()
            service.rest(seconds=600)
            print(f"{'':<12}the first look took {time.monotonic() - began:.1f} s")
            yield service, music


def idle(folder: Path) -> Figures:
    """A minute in which nothing happens to 100,000 files."""
    with large(folder) as (service, _):
        process = psutil.Process(service.process.pid)
        time.sleep(5)
        before = sum(process.cpu_times()[:4])
        time.sleep(60)
        used = sum(process.cpu_times()[:4]) - before
        state = service.state() or {}
        watched = float(sum(root["folders"] for root in state["roots"]))
        return {"CPU, %": used / 60 * 100, "MB": memory(service), "folders watched": watched}


def week(folder: Path) -> Figures:
    """100,000 events, in five parts, in a library of 100,000 files."""
    figures: Figures = {}
    with large(folder) as (service, music):
        figures["MB before"] = memory(service)
        for part in range(5):
            _events(music / "week", 20_000, pause=0.0005)
            service.rest(seconds=600)
            figures[f"MB after {part + 1} of 5"] = memory(service)
    return figures


def storm(folder: Path) -> Figures:
    """50,000 events in ten seconds, with 500 songs among them."""
    with place() as (program, music), watching(program, music, settle=1) as service:
        service.rest()
        began, peak = time.monotonic(), 0.0
        for part in range(100):
            for number in range(5):
                (music / f"song{part * 5 + number}.mp3").write_bytes(voice(part * 50 + number))
            _events(music, 500)
            peak = max(peak, memory(service))
            time.sleep(max(0.0, began + (part + 1) * 0.1 - time.monotonic()))
        seconds = time.monotonic() - began
        songs = [music / f"song{number}.mp3" for number in range(500)]
        deadline = time.monotonic() + 900
        while len(changes(service)) < 500 and time.monotonic() < deadline:
            peak = max(peak, memory(service))
            time.sleep(0.05)
        service.rest(seconds=600)
        tagged = sum(bool(genre(path)) for path in songs)
        lost = float("were lost" in service.words or "could be noted" in service.words)
        made = {"changes made": float(len(changes(service))), "songs tagged": float(tagged)}
        return {"events took, s": seconds, "the queue overflowed": lost, "peak, MB": peak, **made}


def _events(folder: Path, number: int, pause: float = 0.0) -> None:
    """Make so many events: five for each file that is created, closed, renamed (two) and deleted."""
    folder.mkdir(exist_ok=True)
    for index in range(number // 5):
        path = folder / f"passing{index}.mp3"
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
        path.rename(folder / f"gone{index}.mp3")
        (folder / f"gone{index}.mp3").unlink()
        if pause:
            time.sleep(pause)


PARTS: dict[str, Callable[[Path], Figures]] = {
    "latency": latency,
    "drop": drop,
    "idle": idle,
    "week": week,
    "storm": storm,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "genrify-benchmarks")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"{len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.1f}")
    for name in arguments.parts or PARTS:
        for what, value in PARTS[name](arguments.folder).items():
            print(f"{name:<12}{what:<48}{value:>12.4g}", flush=True)


if __name__ == "__main__":
    main()
