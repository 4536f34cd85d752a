"""A scan of many copies of few songs: the work per file must not grow with the copies.

Run it by itself: ``python -m tests.benchmarks.copies [FILES]``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from tests import media
from tests.program import Program

CLIPS = 8
SHARE = 4  # the first and the last quarter of the files are compared


def measure(folder: Path, files: int = 4000) -> dict[str, float]:
    """Return the work a file in the first and in the last quarter of a scan, tagging each file, and of a second one."""
    music, program = folder / "music", Program(folder)
    _make_copies(music, files)
    figures = _rates(program, music, "first scan")
    music.rename(folder / "renamed")
    return figures | _rates(program, folder / "renamed", "after a move, all analysed again", "--reanalyse")


def _make_copies(music: Path, files: int) -> None:
    music.mkdir()
    for number in range(CLIPS):
        clip = music / f"{number}.mp3"
        media.ffmpeg("-ss", f"{number}", "-t", "4", "-i", media.JAZZ, "-map_metadata", "-1", "-b:a", "96k", clip)
    for number in range(CLIPS, files):
        folder = music / f"{number // 100:04}"
        folder.mkdir(exist_ok=True)
        shutil.copyfile(music / f"{number % CLIPS}.mp3", folder / f"{number}.mp3")


def _rates(program: Program, music: Path, what: str, *options: str) -> dict[str, float]:
    """Return files a second, and the CPU time of the main process, which also holds on a busy machine."""
    command = program.command("scan", music, "--min-confidence", "0.05", "--format", "jsonl", *options)
    with subprocess.Popen(
        command, env=program.environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as scan:
        assert scan.stdout is not None
        at = [(time.monotonic(), psutil.Process(scan.pid).cpu_times()) for _ in scan.stdout]
    part = len(at) // SHARE
    figures: dict[str, float] = {f"{what}, files": len(at)}
    for name, (begin, end) in {"first": (0, part), "last": (-1 - part, -1)}.items():
        (wall, cpu), (wall_after, cpu_after) = at[begin], at[end]
        seconds = cpu_after.user + cpu_after.system - cpu.user - cpu.system
        figures[f"{what}, {name} {part}, files/s"] = part / (wall_after - wall)
        figures[f"{what}, {name} {part}, ms of CPU a file"] = 1000 * seconds / part
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for label, value in measure(Path(place), int(sys.argv[1]) if len(sys.argv) > 1 else 4000).items():
            print(f"{label}: {value:,.1f}")
