"""Processors and memory as cgroups limit them, seen with real cgroups."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from genrify_tagger import system_limits
from genrify_tagger.errors import SystemMemoryError
from genrify_tagger.workers import Workers
from tests import media

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
SHOW = "from genrify_tagger import system_limits as s; print(s.available_processors(), s.cpu_quota())"


@contextlib.contextmanager
def cgroup(controller: str, **limits: str):
    """Make a cgroup of either version with limits; skip where that is not allowed."""
    places = [Path("/sys/fs/cgroup", controller), Path("/sys/fs/cgroup")]
    parent = next((p for p in places if (p / "cgroup.procs").exists()), None)
    if not ROOT or parent is None:
        pytest.skip("needs root and a cgroup file system")
    folder = parent / f"genrify-test-{os.getpid()}"
    try:
        folder.mkdir()
        for name, value in limits.items():
            files = [folder / name.replace("__", "."), folder / name.replace("__", ".", 1)]
            file = next((f for f in files if f.exists()), None)
            if file is not None:
                file.write_text(value)
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no cgroup can be made: {error}")
    try:
        yield folder
    finally:
        for line in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (parent / "cgroup.procs").write_text(line)
        folder.rmdir()


def inside(folder: Path, *command, **more) -> subprocess.CompletedProcess[str]:
    """Run a command inside a cgroup."""
    script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    return subprocess.run(["sh", "-c", script, folder, *command], capture_output=True, text=True, check=False, **more)


def test_a_quota_of_one_processor_is_one_worker():
    with cgroup("cpu", cpu__cfs_quota_us="100000", cpu__max="100000 100000") as folder:
        inner = folder / "inner"  # the limit of a group holds for those in it
        inner.mkdir()
        done = inside(inner, sys.executable, "-c", SHOW)
        inner.rmdir()
    assert done.stdout == "1 1.0\n", done.stderr


def test_without_a_quota_the_affinity_counts():
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); {SHOW}"
    done = subprocess.run([sys.executable, "-c", one], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 ")


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
    ],
)
def test_both_versions_of_cgroups(monkeypatch, tmp_path, files, quota):
    version = 2 if "cpu.max" in files else 1
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    # As in a container: the mount shows the inside of a folder of the host.
    kind, controllers, options = ("cgroup2", "", "rw") if version == 2 else ("cgroup", "cpu,cpuacct", "rw,cpu,cpuacct")
    (tmp_path / "mountinfo").write_text(f"32 31 0:29 /docker/ab {tmp_path} rw,relatime - {kind} {kind} {options}\n")
    (tmp_path / "cgroup").write_text(f"{0 if version == 2 else 1}:{controllers}:/docker/ab\n")
    monkeypatch.setattr(system_limits, "MOUNTINFO", str(tmp_path / "mountinfo"))
    monkeypatch.setattr(system_limits, "CGROUP", str(tmp_path / "cgroup"))
    assert system_limits.cpu_quota() == quota


def test_a_kill_for_lack_of_memory_is_told_as_that_and_no_songs_fault(tmp_path):
    song = str(media.make("flac", tmp_path))
    limit = str(4 << 20)  # for what is allocated from now on: the worker has loaded its libraries
    with Workers(jobs=1, segments=8) as workers:
        duration = workers.probe(song).duration
        (worker,) = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
        with cgroup("memory", memory__limit_in_bytes=limit, memory__max=limit, memory__swap__max="0") as folder:
            (folder / "cgroup.procs").write_text(str(worker.pid))
            with pytest.raises(SystemMemoryError, match=r"ran out of memory .* lower analysis.jobs \(--jobs, now 1\)"):
                workers.analyse(song, duration=duration)
        assert len(workers.analyse(song, duration=duration).intervals) == 5
