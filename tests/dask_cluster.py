"""A real Dask scheduler and real workers, each a process of its own, for the tests of `scan --cluster`."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import media
from tests.media import in_ci

if TYPE_CHECKING:
    from distributed import Client

ROOT = Path(__file__).parent.parent


class DaskCluster:
    """A scheduler on a port of its own, and workers that join it."""

    def __init__(self, folder: Path, tls: Path | None = None) -> None:
        self._folder = folder
        self._tls = tls
        self._port = _free_port()
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self._port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start_scheduler()

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", [], ["--host", self.address.rpartition(":")[0], "--port", str(self._port)]
        )

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

    def a_worker(self) -> str:
        """Return the address of a worker."""
        return min(self._workers())

    def log(self, process: subprocess.Popen[bytes]) -> str:
        return (self._folder / f"log{self.processes.index(process)}").read_text()

    def task_names(self) -> set[str]:
        """Names under which the dashboard has shown tasks."""
        with self._client() as client:
            return set(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.task_prefixes)))

    def end(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _workers(self) -> set[str]:
        with self._client() as client:
            return set(client.nthreads())

    def _client(self) -> Client:
        from distributed import Client, Security

        tls = {"tls_ca_file": self._tls / "cert.pem", "tls_client_cert": self._tls / "cert.pem"} if self._tls else {}
        key = {"tls_client_key": self._tls / "key.pem"} if self._tls else {}
        security = Security(**{name: str(path) for name, path in {**tls, **key}.items()})
        return Client(self.address, timeout=60, set_as_default=False, security=security)

    def _start(self, kind: str, arguments: list[str], options: list[str], wrapper=()) -> subprocess.Popen[bytes]:
        dask = [*wrapper, sys.executable, "-m", "dask", kind, *arguments, *options, "--no-dashboard"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        if self._tls:
            environment["DASK_CONFIG"] = str(self._tls)
        with open(self._folder / f"log{len(self.processes)}", "wb") as log:
            place = {"cwd": self._folder, "env": environment, "start_new_session": True}
            process = subprocess.Popen(dask, stdout=log, stderr=log, **place)
        self.processes.append(process)
        return process


@contextmanager
def dask_cluster(workers: int, tls: Path | None = None) -> Iterator[DaskCluster]:
    """Start a cluster; `tls` is a folder made by `tls_settings`."""
    folder = Path(tempfile.mkdtemp(prefix="genrify-dask-"))
    cluster = DaskCluster(folder, tls)
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


def tls_settings(folder: Path) -> Path:
    """Make a folder with a key, a certificate and the settings of Dask that use them."""
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "cert.pem"
    made = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-keyout", key, "-out", certificate)
    media.run(media.need("openssl"), "req", *made)
    pair = {"cert": str(certificate), "key": str(key)}
    tls = {"ca-file": str(certificate), **dict.fromkeys(("scheduler", "worker", "client"), pair)}
    settings = {"distributed": {"comm": {"require-encryption": True, "tls": tls}}}
    (folder / "dask.yaml").write_text(json.dumps(settings))  # which is YAML, too
    return folder


@contextmanager
def server(greeting: bytes) -> Iterator[str]:
    """Run something that is not Dask: it accepts connections, sends a greeting and waits; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections = []

        def accept() -> None:
            with contextlib.suppress(OSError):  # closed
                while True:
                    connections.append(listening.accept()[0])
                    connections[-1].sendall(greeting)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
