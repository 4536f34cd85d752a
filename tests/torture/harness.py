"""The test's side of `server`: start it, perhaps under strace, and give it tasks that are killed or fail."""

from __future__ import annotations

import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.media import in_ci, need
from tests.torture.server import CALLS, LOOKS, WHEN

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0


@dataclass
class Outcome:
    """How a task ended: exit status (negative: the signal), and its output, if any."""

    status: int
    results: list[dict[str, str | None]] = field(default_factory=list)
    stopped: bool = False


class Server:
    """A running server."""

    def __init__(self, warm_up: Path) -> None:
        command = [sys.executable, "-m", "tests.torture.server", str(warm_up)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert "ready" in self._answer()

    def begin(self, verb: str, database: str, paths: Sequence[Path], **more: object) -> int:
        """Start a task and return its process."""
        task = {"verb": verb, "database": database, "paths": [str(path) for path in paths], **more}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(task) + "\n")
        return int(self._answer()["begun"])

    def end(self, meanwhile: Callable[[], object] | None = None) -> Outcome:
        """Wait for the end of the task; if it is stopped on the way, call `meanwhile` and let it continue."""
        outcome = Outcome(0)
        while True:
            match self._answer():
                case {"results": results}:
                    outcome.results = results
                case {"stopped": pid}:
                    outcome.stopped = True
                    if meanwhile is not None:
                        meanwhile()
                    os.kill(pid, signal.SIGCONT)
                case {"ended": status}:
                    outcome.status = status
                    return outcome

    def run(
        self,
        verb: str,
        database: str,
        paths: Sequence[Path],
        meanwhile: Callable[[], object] | None = None,
        **more: object,
    ) -> Outcome:
        self.begin(verb, database, paths, **more)
        return self.end(meanwhile)

    def close(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                line = self._lines.get(timeout=2)
            except queue.Empty:
                assert time.monotonic() < deadline, "the server does not answer"
                # A stop that was meant for a task's thread may have hit the server.
                self.process.send_signal(signal.SIGCONT)
                continue
            assert line, "the server died"
            return json.loads(line)


@contextmanager
def server(warm_up: Path, *injections: str, lasting: bool = False) -> Iterator[Server]:
    """Run a server; each injection is what strace does to the calls that `hits` of a task chooses.

    Such as "signal=KILL" or "error=EIO", for all of CALLS, or for some: "unlink:signal=KILL". If it is `lasting`, it
    happens to all later calls of that name, too.
    """
    started = Server(warm_up)
    tracer = _attach(started.process.pid, injections, f"{WHEN}{'+' if lasting else ''}") if injections else None
    try:
        yield started
    finally:
        started.close()
        if tracer is not None:
            assert tracer.stderr is not None
            tracer.wait(timeout=PATIENCE)
            tracer.stderr.close()


def _attach(pid: int, injections: Sequence[str], when: str) -> subprocess.Popen[str]:
    if platform.machine() != "x86_64":
        pytest.skip("the numbers of system calls are those of x86-64")
    options = ["-e", f"trace={','.join(CALLS | LOOKS)}"]
    for injection in injections:
        calls, _, effect = injection.rpartition(":")
        options += ["-e", f"inject={calls or ','.join(CALLS)}:{effect}:when={when}"]
    command = [need("strace"), "-f", "-qq", "-o", "/dev/null", *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + PATIENCE
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text():
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            words = tracer.stderr.read()
            assert not in_ci(), words
            pytest.skip(f"strace cannot attach here: {words}")
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return tracer
