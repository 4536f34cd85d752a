"""What the system lets this process use: processors (affinity and cgroup quota), and kills for lack of memory.

A container's limits are those of its cgroup and of all above it; see cgroups(7). Both versions are read.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

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
    for folder in _folders("cpu"):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            if (folder / "cpu.max").exists():
                quota, period = (folder / "cpu.max").read_text().split()
            else:
                quota, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
            if quota != "max" and int(quota) > 0:
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory: in the cgroup, or else in the system."""
    counts = [_counter(Path(VMSTAT))]
    for folder in _folders("memory"):
        counts += [_counter(folder / "memory.events"), _counter(folder / "memory.oom_control")]
    return sum(counts)


def _counter(file: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return 0


def _folders(controller: str) -> Iterator[Path]:
    """Yield the folders of this process's cgroup and of those above it that a controller may have its files in."""
    with contextlib.suppress(OSError, ValueError):
        paths = _cgroup_paths(controller)
        for root, point in _cgroup_mounts(controller):
            for version_path in paths:
                # In a container, the mount may begin in the middle of the host's hierarchy.
                inner = version_path.removeprefix(root) if root != "/" else version_path
                folder = Path(point, inner.lstrip("/"))
                while True:
                    if folder.is_dir():
                        yield folder
                    if folder == Path(point) or folder == folder.parent:
                        break
                    folder = folder.parent


def _cgroup_paths(controller: str) -> set[str]:
    found = set()
    for line in Path(CGROUP).read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or controller in controllers.split(","):
            found.add(path)
    return found


def _cgroup_mounts(controller: str) -> Iterator[tuple[str, str]]:
    """Yield root and mount point of each hierarchy with a controller, see proc_pid_mountinfo(5)."""
    for line in Path(MOUNTINFO).read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and controller in options.split(",")):
            _, _, _, root, point, *_ = before.split(" ")
            yield root, point
