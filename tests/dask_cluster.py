"""A real Dask scheduler and real workers, each a process of its own, for the tests of `scan --cluster`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.media import in_ci

ROOT = Path(__file__).parent.parent


class DaskCluster:
    """A scheduler on a port of its own, and workers that join it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self.address = f"tcp://127.0.0.1:{self._port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler", [], ["--host", "127.0.0.1", "--port", str(self._port)])

    def start_worker(self, *options: str, code: str = "", wrapper: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start a worker with one thread; `code` runs in it first, `wrapper` is the command that starts it."""
        before = self._workers()
        preload = self._folder / f"preload{len(self.processes)}.py"
        preload.write_text(code)
        own = ["--nthreads", "1", "--nworkers", "1", "--preload", str(preload), *options]
        started = self._start("worker", [self.address], own, wrapper)
        deadline = time.monotonic() + 60
        while len(self._workers()) <= len(before):
            assert started.poll() is None and time.monotonic() < deadline, self.log(started)
            time.sleep(0.2)
        return started

    def log(self, process: subprocess.Popen[bytes]) -> str:
        return (self._folder / f"log{self.processes.index(process)}").read_text()

    def task_names(self) -> set[str]:
        """Names under which the dashboard has shown tasks."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return set(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes)))

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _workers(self) -> set[str]:
        from distributed import Client

        with Client(self.address, timeout=60, set_as_default=False) as client:
            return set(client.nthreads())

    def _start(self, kind: str, arguments: list[str], options: list[str], wrapper=()) -> subprocess.Popen[bytes]:
        dask = [*wrapper, sys.executable, "-m", "dask", kind, *arguments, *options, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        with open(self._folder / f"log{len(self.processes)}", "wb") as log:
            place = {"cwd": self._folder, "env": environment, "start_new_session": True}
            process = subprocess.Popen(dask, stdout=log, stderr=log, **place)
        self.processes.append(process)
        return process


@contextmanager
def dask_cluster(workers: int) -> Iterator[DaskCluster]:
    folder = Path(tempfile.mkdtemp(prefix="genrify-dask-"))
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.end()
        shutil.rmtree(folder, ignore_errors=True)


def without_folder(folder: Path) -> tuple[str, ...]:
    """Return a wrapper that hides what is in a folder from a process: a host where the share is not mounted."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        assert not in_ci(), "hiding a folder needs root and unshare"
        pytest.skip("hiding a folder needs root and unshare")
    return ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
