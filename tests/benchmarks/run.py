"""Measure the whole program; every ratio comes from one run on one machine.

    python -m tests.benchmarks.run                       everything (about half an hour on two cores)
    python -m tests.benchmarks.run start scan workers    some parts
    python -m tests.benchmarks.run --songs 50 --json figures.json

Parts: start, scan, workers, cluster, containers, stages, unchanged, scale, rivals, beets. `--wheel` names the PyPI
wheel musicnn 0.1.0, with which the rival pipeline runs the network as published.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks import beets, rivals, scale, stages, unchanged
from tests.benchmarks.measure import program
from tests.benchmarks.songs import CONTAINERS, SECONDS, library

Figures = dict[str, float]
SURE = ("--min-confidence", "0.01")  # every song is written: that is the dearest outcome


def start(folder: Path, songs: int, wheel: str | None) -> Figures:
    """Start-up: help, and one song cold."""
    song = next(library(folder, "mp3-v2.3", songs).iterdir())
    helps = [program(folder, "--help").wall for _ in range(5)]
    colds = []
    for number in range(5):
        with tempfile.TemporaryDirectory() as home:
            colds.append(program(Path(home), "scan", "--dry-run", song).wall)
            del number
    return {"help, s": sorted(helps)[2], "scan of one song, cold, s": sorted(colds)[2]}


def scan(folder: Path, songs: int, wheel: str | None) -> Figures:
    """The main job: a fresh scan of four-minute MP3s, every one written; and its CPU against the sum of the stages."""
    figures = _scan(folder, "mp3-v2.3", songs)
    parts = stages.measure(next(library(folder, "mp3-v2.3", songs).iterdir()))
    total = sum(parts[name] for name in stages.OF_A_SCAN)
    return {
        **figures,
        "sum of stages, CPU s a track": total,
        "CPU over sum of stages": figures["CPU s a track"] / total,
    }


def workers(folder: Path, songs: int, wheel: str | None) -> Figures:
    """Two workers against one."""
    one = _scan(folder, "mp3-v2.3", songs, "--jobs", "1")["tracks/s"]
    two = _scan(folder, "mp3-v2.3", songs, "--jobs", "2")["tracks/s"]
    return {"1 worker, tracks/s": one, "2 workers, tracks/s": two, "2 over 1": two / one}


def cluster(folder: Path, songs: int, wheel: str | None) -> Figures:
    """`--cluster local` against a plain scan, in turns; and its two workers against one."""
    plain, with_dask = [], []
    for _ in range(2):
        plain.append(_scan(folder, "mp3-v2.3", songs, "--jobs", "2"))
        with_dask.append(_scan(folder, "mp3-v2.3", songs, "--jobs", "2", "--cluster", "local"))
    one = _scan(folder, "mp3-v2.3", songs, "--jobs", "1", "--cluster", "local")["tracks/s"]
    best = max(figures["tracks/s"] for figures in with_dask)
    return {
        "two workers, tracks/s": best,
        "wall over a plain scan": max(figures["tracks/s"] for figures in plain) / best,
        "CPU over a plain scan": min(f["CPU s a track"] for f in with_dask) / min(f["CPU s a track"] for f in plain),
        "2 workers over 1": best / one,
    }


def containers(folder: Path, songs: int, wheel: str | None) -> Figures:
    """Tracks a second and CPU seconds a track by container."""
    figures: Figures = {}
    for kind in CONTAINERS:
        found = _scan(folder, kind, max(4, songs // 10))
        figures[f"{kind}, tracks/s"] = found["tracks/s"]
        figures[f"{kind}, CPU s a track"] = found["CPU s a track"]
    return figures


def each_stage(folder: Path, songs: int, wheel: str | None) -> Figures:
    """Each stage alone, CPU seconds a track, against a floor that only decodes the segments."""
    parts = stages.measure(next(library(folder, "mp3-v2.3", songs).iterdir()))
    floor = parts["decode only"]
    ratios = {f"{name} over decode only": value / floor for name, value in parts.items() if name != "decode only"}
    return {**{f"{name}, CPU s": value for name, value in parts.items()}, **ratios}


def _scan(folder: Path, kind: str, songs: int, *options: str) -> Figures:
    source = library(folder, kind, songs)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        music = Path(name) / "music"
        music.mkdir()
        for song in source.iterdir():
            os.link(song, music / song.name)
        run = program(Path(name), "scan", music, *SURE, *options, "--quiet")
    # Hard links keep the songs themselves as they are; "break" below gives each scanned name a file of its own.
    return {
        "songs": float(songs),
        "tracks/s": songs / run.wall,
        "CPU s a track": run.cpu / songs,
        "parent, MB": run.parent_mb,
        "worker, MB": run.worker_mb,
    }


def growth(folder: Path) -> Figures:
    """What grows with the library; `python -m tests.benchmarks.scale` also measures a million songs."""
    by_size = {size: scale.measure(folder, size) for size in scale.SIZES}
    return {f"{size:,} songs: {name}": value for size, found in by_size.items() for name, value in found.items()}


PARTS: dict[str, Callable[[Path, int, str | None], Figures]] = {
    "start": start,
    "scan": scan,
    "workers": workers,
    "cluster": cluster,
    "containers": containers,
    "stages": each_stage,
    "unchanged": lambda folder, songs, wheel: unchanged.measure(folder),
    "scale": lambda folder, songs, wheel: growth(folder),
    "beets": lambda folder, songs, wheel: beets.measure(library(folder, "mp3-v2.3", songs)),
    "rivals": lambda folder, songs, wheel: rivals.measure(library(folder, "mp3-v2.3", songs), wheel),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=[], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--songs", type=int, default=200, help="four-minute MP3s in the main scan")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "genrify-benchmarks")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--wheel", help="musicnn-0.1.0-py3-none-any.whl")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.environ["GENRIFY_TAGGING__HARDLINKS"] = "break"
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"Songs of {SECONDS} s; {cores} cores; load {load:.1f}; Python {sys.version.split()[0]}")
    found: dict[str, Figures] = {}
    for name in arguments.parts or PARTS:
        found[name] = PARTS[name](arguments.folder, arguments.songs, arguments.wheel)
        for what, value in found[name].items():
            print(f"{name:<12}{what:<48}{value:>12.4g}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
