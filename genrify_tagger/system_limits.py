"""System limits of this process: processors (affinity and cgroup quota), and kills for lack of memory.

Both versions of cgroups are read, see cgroups(7). The limits of a cgroup hold for those inside it, too.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP = "/proc/self/cgroup"
MOUNTINFO = "/proc/self/mountinfo"
VMSTAT = "/proc/vmstat"


def available_processors() -> int:
    """Return how many processors this process may use: its affinity, and the CPU quota of its cgroup, rounded up."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return count if quota is None else max(1, min(count, math.ceil(quota)))


def cpu_quota() -> float | None:
    """Return how many processors' time the cgroup may use; None if there is no limit."""
    quotas = []
    for folder in _cgroup_folders("cpu"):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if quota != "max" and int(quota) > 0:
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def out_of_memory_kills() -> int:
    """Return how many processes of this cgroup the kernel has killed for lack of memory; of the system if unknown."""
    for folder in _cgroup_folders("memory"):
        for name in ("memory.events", "memory.oom_control"):
            count = _oom_kill_counter(folder / name)
            if count is not None:
                return count
    return _oom_kill_counter(Path(VMSTAT)) or 0


def die_first(pid: int) -> None:
    """Make the kernel kill this worker first if memory runs out, rather than the process that writes files."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("900")


def _oom_kill_counter(file: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


def _cgroup_folders(controller: str) -> Iterator[Path]:
    """Yield the folder of this process's cgroup that has a controller's files, then those of the cgroups above it."""
    with contextlib.suppress(OSError, ValueError):
        paths = _cgroup_paths(controller)
        for version, root, point in _cgroup_mounts(controller):
            if version in paths:
                inner = _relative_path(paths[version], root)
                yield from (point / part for part in (inner, *inner.parents) if (point / part).is_dir())


def _relative_path(path: PurePosixPath, root: PurePosixPath) -> PurePosixPath:
    """Return a cgroup's path below the root of a mount; that of the root if the mount does not show the cgroup."""
    if path.is_relative_to(root) and ".." not in path.parts:
        return path.relative_to(root)
    return PurePosixPath()


def _cgroup_paths(controller: str) -> dict[str, PurePosixPath]:
    """Return this process's cgroup in the hierarchy of each version that may have a controller."""
    found = {}
    for line in Path(CGROUP).read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found["cgroup2"] = PurePosixPath(path)
        elif controller in controllers.split(","):
            found["cgroup"] = PurePosixPath(path)
    return found


def _cgroup_mounts(controller: str) -> Iterator[tuple[str, PurePosixPath, Path]]:
    """Yield version, root and mount point of each hierarchy that may have a controller, see proc_pid_mountinfo(5)."""
    for line in Path(MOUNTINFO).read_text().splitlines():
        before, _, after = line.partition(" - ")
        version, _, options = after.split(" ", 2)
        if version == "cgroup2" or (version == "cgroup" and controller in options.split(",")):
            _, _, _, root, point, *_ = before.split(" ")
            yield version, PurePosixPath(root), Path(point)
