"""Processors and memory as cgroups limit them, seen with real cgroups."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from genrify_tagger import system_limits
from genrify_tagger.errors import SystemMemoryError, WorkerKilledError
from genrify_tagger.workers import Workers
from tests import bad_tasks, media
from tests.beets_library import song as tagged_song
from tests.watching import query

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
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a cgroup; the kernel takes a moment to forget those that were in it."""
    deadline = time.monotonic() + 10
    while folder.exists():
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def inside(folder: Path, *command, **more) -> subprocess.CompletedProcess[str]:
    """Run a command inside a cgroup."""
    script = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    return subprocess.run(["sh", "-c", script, folder, *command], capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize(("quota", "processors"), [("100000", 1), ("150000", 2), ("20000", 1)])
def test_the_quota_of_a_cgroup_counts_as_processors_rounded_up(quota, processors):
    with cgroup("cpu", cpu__cfs_quota_us=quota, cpu__max=f"{quota} 100000") as folder:
        inner = folder / "inner"  # the limit of a group holds for those in it
        inner.mkdir()
        done = inside(inner, sys.executable, "-c", SHOW)
        _remove(inner)
    usable = min(processors, len(os.sched_getaffinity(0)))
    assert done.stdout == f"{usable} {int(quota) / 100000}\n", done.stderr


def test_the_program_plans_with_as_many_workers_as_its_quota_allows(program, tmp_path):
    command = program.command("service", "install", "--print")
    with cgroup("cpu", cpu__cfs_quota_us="100000", cpu__max="100000 100000") as folder:
        done = inside(folder, *command, env=program.environment(GENRIFY_LIBRARY__ROOTS=str(tmp_path)))
    assert "MemoryHigh=1280M" in done.stdout, done.stderr  # 512 for the service and 768 for one worker


def test_without_a_quota_the_affinity_counts():
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); {SHOW}"
    done = subprocess.run([sys.executable, "-c", one], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("1 ")


def describe(monkeypatch, folder: Path, *, cgroups: str, mounts: str) -> None:
    """Have a cgroup and the mounts of cgroup file systems described as on another system."""
    for name, text in {"cgroup": cgroups, "mountinfo": mounts}.items():
        (folder / name).write_text(text)
        monkeypatch.setattr(system_limits, name.upper(), str(folder / name))


def mount(root: str, point: Path, kind: str = "cgroup2", options: str = "rw") -> str:
    return f"32 31 0:29 {root} {point} rw,relatime - {kind} {kind} {options}\n"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.cfs_quota_us": "200000\n", "cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, None),
    ],
)
@pytest.mark.parametrize(("root", "cgroup"), [("/docker/ab", "/docker/ab"), ("/", "/"), ("/", "/../cd")])
def test_a_container_sees_its_own_cgroup_at_the_mount_point(monkeypatch, tmp_path, files, quota, root, cgroup):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    if "cpu.max" in files:
        describe(monkeypatch, tmp_path, cgroups=f"0::{cgroup}\n", mounts=mount(root, tmp_path))
    else:
        mounts = mount(root, tmp_path, "cgroup", "rw,cpu,cpuacct")
        describe(monkeypatch, tmp_path, cgroups=f"3:cpu,cpuacct:{cgroup}\n", mounts=mounts)
    assert system_limits.cpu_quota() == quota


def test_the_smallest_quota_above_a_cgroup_holds(monkeypatch, tmp_path):
    """As systemd nests them: a slice with a quota, and in it a service without one."""
    service = tmp_path / "music.slice/genrify-tagger.service"
    service.mkdir(parents=True)
    (service / "cpu.max").write_text("max 100000\n")
    (service.parent / "cpu.max").write_text("250000 100000\n")
    cgroups = "0::/music.slice/genrify-tagger.service\n"
    describe(monkeypatch, tmp_path, cgroups=cgroups, mounts=mount("/", tmp_path))
    assert system_limits.cpu_quota() == 2.5


def test_the_two_versions_side_by_side_are_not_confused(monkeypatch, tmp_path):
    """A process is in other groups of either version; another's group of the same name is not its own."""
    for name, quota in {"old/mine": 100000, "old/yours": 50000}.items():
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cpu.cfs_quota_us").write_text(f"{quota}\n")
        (tmp_path / name / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "new").mkdir()
    mounts = mount("/", tmp_path / "old", "cgroup", "rw,cpu") + mount("/", tmp_path / "new")
    describe(monkeypatch, tmp_path, cgroups="3:cpu:/mine\n0::/yours\n", mounts=mounts)
    assert system_limits.cpu_quota() == 1.0


def test_kills_in_other_cgroups_do_not_count(monkeypatch, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "memory.events").write_text("low 0\noom 3\noom_kill 2\noom_group_kill 0\n")
    (tmp_path / "memory.events").write_text("low 0\noom 9\noom_kill 8\noom_group_kill 0\n")
    describe(monkeypatch, tmp_path, cgroups="0::/own\n", mounts=mount("/", tmp_path))
    assert system_limits.out_of_memory_kills() == 2


def test_without_cgroups_the_systems_kills_count(monkeypatch, tmp_path):
    (tmp_path / "vmstat").write_text("pgfault 12\noom_kill 4\n")
    monkeypatch.setattr(system_limits, "VMSTAT", str(tmp_path / "vmstat"))
    describe(monkeypatch, tmp_path, cgroups="0::/\n", mounts="")
    assert system_limits.out_of_memory_kills() == 4


def test_a_kill_for_lack_of_memory_is_told_as_that_and_the_song_is_tried_again(program, tmp_path):
    for number in range(3):
        media.make("flac", tmp_path / str(number))
    limit = str(95 << 20)  # enough for the program, not for a worker beside it
    command = program.command("scan", "--format", "jsonl", "--jobs", "2", tmp_path)
    with cgroup("memory", memory__limit_in_bytes=limit, memory__max=limit, memory__swap__max="0") as folder:
        done = inside(folder, *command, env=program.environment())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1, done.stderr
    assert {line["status"] for line in lines} == {"failed"}
    for line in lines:
        assert line["error"].startswith("not enough memory: "), line
        assert "lower analysis.jobs (--jobs, now 2)" in line["error"]
    assert len(lines) == 3
    assert {line["status"] for line in program.scan(tmp_path)} <= {"tagged", "unsure"}


EATING = """
import sys
from pathlib import Path
from genrify_tagger.errors import SystemMemoryError
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers
from tests import bad_tasks

with Workers(jobs=1, segments=4, limits=Limits(memory_limit=4 << 30)) as workers:
    workers.call("a.mp3", bad_tasks.process_id, interruptible=True)
    try:
        workers.call("a.mp3", bad_tasks.eat_memory, interruptible=True)
    except SystemMemoryError as error:
        print(error)
"""


def test_lack_of_memory_in_the_middle_of_a_song():
    limit = str(300 << 20)
    with cgroup("memory", memory__limit_in_bytes=limit, memory__max=limit, memory__swap__max="0") as folder:
        done = inside(folder, sys.executable, "-c", EATING, cwd=Path(__file__).parent.parent)
    told = "not enough memory: the system ended the worker process; allow the program more memory"
    assert done.stdout.startswith(told), done.stderr


def test_a_worker_that_was_killed_by_hand_is_no_songs_fault():
    with Workers(jobs=1, segments=8) as workers, pytest.raises(WorkerKilledError, match="another program killed") as e:
        workers.call("song.mp3", bad_tasks.be_killed, interruptible=True)
    assert not isinstance(e.value, SystemMemoryError)


def test_what_a_killed_worker_did_not_do_is_done_by_the_next_scan(program, tmp_path):
    """Whatever the worker was doing: nothing that it did not find out is taken for found out."""
    for number in range(12):
        tagged_song(tmp_path / "music", f"Title {number}", ["flac", "mp3-v2.4"][number % 2])
    command = program.command(
        "scan", "--format", "jsonl", "--jobs", "1", "--min-confidence", "0.05", tmp_path / "music"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=program.environment(), text=True) as process:
        chance = random.Random(5)
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):  # it has just ended
                for worker in psutil.Process(process.pid).children():
                    if sum(worker.cpu_times()[:2]) > chance.uniform(0.3, 1.5):  # its libraries are loaded, or nearly
                        worker.kill()
            time.sleep(0.01)
        lines = [json.loads(line) for line in process.stdout]
    failed = [line for line in lines if line["status"] == "failed"]
    assert len(lines) == 12 and failed
    for line in failed:
        assert "killed the worker process" in line["error"] or "do not start" in line["error"], line
    assert {line["status"] for line in lines} <= {"failed", "tagged"}
    again = program.scan(tmp_path / "music", "--min-confidence", "0.05")
    assert {line["status"] for line in again} <= {"tagged", "unchanged"}
    titles = query(program.database, "SELECT title FROM files")
    assert sorted(titles) == sorted((f"Title {number}",) for number in range(12))
