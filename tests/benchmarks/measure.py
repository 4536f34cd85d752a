"""Measure whole processes: wall time, CPU time of a program and all it started, peak memory of parent and workers."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass
class Run:
    """One finished process: seconds of wall time and CPU, megabytes at the peak."""

    wall: float
    cpu: float
    parent_mb: float
    worker_mb: float
    output: str


def program(home: Path, *arguments: str | Path) -> Run:
    """Run the installed `genrify-tag` with everything it keeps in `home`."""
    script = Path(sys.executable).with_name("genrify-tag")
    environment = {**os.environ, "HOME": str(home), "NO_COLOR": "1"}
    return process([str(script), *map(str, arguments)], environment)


def process(command: Sequence[str], environment: dict[str, str] | None = None) -> Run:
    """Run a command to its end; raise if it fails with more than failed files."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        watcher = _Memory(child.pid)
        watcher.start()
        status = child.wait()
        wall = time.perf_counter() - started
        watcher.ended.set()
        watcher.join()
        output.seek(0)
        text = output.read().decode(errors="replace")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status not in (0, 1):
        raise RuntimeError(f"{command} ended with {status}: {text[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall, cpu, watcher.parent, watcher.worker, text)


class _Memory(threading.Thread):
    """Looks at the resident size of a process and of its largest child until told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.parent = self.worker = 0.0
        self._process = psutil.Process(pid)

    def run(self) -> None:
        while not self.ended.wait(0.1):
            try:
                self.parent = max(self.parent, self._process.memory_info().rss / 2**20)
                for child in self._process.children(recursive=True):
                    self.worker = max(self.worker, child.memory_info().rss / 2**20)
            except psutil.Error:
                continue


def cpu_of(work: Callable[[], object], *, repeats: int = 3) -> float:
    """Return the least CPU seconds that `work` took in this process."""
    best = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best
