"""Start an installed program by forking a process that has imported it: the same, without a second of imports.

Each start is a separate process with its own environment, folder and streams, which ends as Python ends. What is
started differs from the console script only in that the modules are there already; tests of the start itself use the
script (`Program.command`).

Run as a script, this is the server: one per program and test process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import json
import multiprocessing
import multiprocessing.context
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

# What is read from the environment while Python and its libraries start; for another value the script is started.
AT_START = ("PYTHON", "LANG", "LC_", "LD_", "TZ", "OMP_", "OPENBLAS_", "MALLOC_", "COVERAGE_")
# Program -> where its `main` is, and what most of its commands import; none of it starts a thread or reads settings.
PROGRAMS = {
    "genrify-tag": (
        "genrify_tagger.cli",
        "genrify_tagger.pipeline",
        "genrify_tagger.watch.daemon",
        "genrify_tagger.web.server",
        *(f"genrify_tagger.cli.{name}" for name in ("audit", "export", "genres", "learn", "progress", "scan", "show")),
        "alembic.command",
        "multiprocessing.popen_forkserver",
        "rich.progress",
        "rich.table",
        "yaml",
    ),
    "beet": (
        "beets.ui",
        "beets.ui.commands",
        "beets.importer",
        "genrify_tagger.pipeline",
        "alembic.command",
        "multiprocessing.popen_forkserver",
    ),
}
OF_WORKERS = (
    "genrify_tagger.worker_main",
    "genrify_tagger.audio",
    "genrify_tagger.classifier.network",
    "threadpoolctl",
)


class ForkServer:
    """The test's side of a server."""

    def __init__(self, program: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, program, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._socket = ours
        self._asking = threading.Lock()
        self._environment = _read_at_start(os.environ)

    def can_start(self, environment: Mapping[str, str]) -> bool:
        """Whether nothing in this environment would have changed how Python starts."""
        return _read_at_start(environment) == self._environment

    def ask(self, question: Mapping[str, object], streams: Sequence[int] = ()) -> Any:
        with self._asking:
            socket.send_fds(self._socket, [json.dumps(question).encode("ascii")], streams)
            return json.loads(self._socket.recv(1000))

    def close(self) -> None:
        self._socket.close()
        self._process.wait(10)


class ForkedProcess(subprocess.Popen):
    """A program that a server has forked, with everything that `subprocess.Popen` offers."""

    def __init__(self, server: ForkServer, arguments: Sequence[str | bytes | Path], **options: Any) -> None:
        self._server = server
        super().__init__(arguments, **options)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *more) -> None:
        pipes = p2cread, _, _, c2pwrite, _, errwrite = more[3:9]
        task = {
            "argv": [os.fsdecode(argument) for argument in args],
            "environment": dict(os.environ if env is None else env),
            "folder": os.fsdecode(cwd or os.getcwd()),
        }
        streams = [own if own >= 0 else number for number, own in enumerate((p2cread, c2pwrite, errwrite))]
        self.pid = self._server.ask(task, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if not wait_flags & os.WNOHANG:
            with contextlib.closing(_Descriptor(os.pidfd_open(self.pid))) as descriptor:
                select.select([descriptor], [], [])
        pid, status = self._server.ask({"wait": self.pid})
        return pid, status

    def _internal_poll(self, _deadstate: int | None = None, **_: Any) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid == self.pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


class _Descriptor:
    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def close(self) -> None:
        os.close(self._number)


@functools.cache
def server_of(program: str) -> ForkServer:
    """Return this test process's server of a program."""
    import atexit

    started = ForkServer(program)
    atexit.register(started.close)
    return started


def start(command: Sequence[str | bytes | Path], environment: Mapping[str, str], **options: Any) -> subprocess.Popen:
    """Start a program: one of PROGRAMS is forked if nothing would be different."""
    program = Path(os.fsdecode(command[0])).name
    if program in PROGRAMS and (server := server_of(program)).can_start(environment):
        return ForkedProcess(server, command, env=environment, **options)
    return subprocess.Popen(command, env=environment, **options)


def run(
    command: Sequence[str | bytes | Path], environment: Mapping[str, str], *, typed: str | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Do as `subprocess.run` does, and capture the output as text."""
    pipe = subprocess.PIPE
    streams = {"stdin": pipe if typed is not None else None, "stdout": pipe, "stderr": pipe}
    with start(command, environment, text=True, **streams, **options) as process:
        try:
            out, err = process.communicate(typed, timeout=300)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(AT_START)}


def serve(server: socket.socket) -> dict[str, Any] | None:
    """Answer until the test process has ended (then None), or until this is the process of a task: return that."""
    while True:
        question, streams, _, _ = socket.recv_fds(server, 1 << 20, 3)
        if not question:
            return None
        task = json.loads(question)
        if "wait" in task:
            answer = os.waitpid(task["wait"], os.WNOHANG)
        else:
            answer = os.fork()
            if not answer:
                server.close()
                for number, stream in enumerate(streams):
                    os.dup2(stream, number)
                    os.close(stream)
                return task
            for stream in streams:
                os.close(stream)
        server.send(json.dumps(answer).encode())


def share_workers() -> None:
    """Let the programs' worker processes be forked, too, from one that has imported what workers import.

    They end when their program closes the pipe, as ever, but are not killed together with it.
    """
    from genrify_tagger import worker_process

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(OF_WORKERS))
    forkserver.ensure_running()
    forkserver._forkserver.ensure_running = lambda: None  # a forked program is not its parent
    worker_process._CleanSpawnContext = multiprocessing.context.ForkServerContext


def run_task(main_of: str, task: dict[str, Any]) -> NoReturn:
    os.environ.clear()
    os.environ.update(task["environment"])
    os.chdir(task["folder"])
    del sys.modules["__main__"].__file__  # workers need not import it
    _open_streams()
    sys.argv = task["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    sys.exit(importlib.import_module(main_of).main())


def _open_streams() -> None:
    """Open the standard streams anew, as they now lead elsewhere."""
    for number, name, mode, buffering in ((0, "stdin", "r", -1), (1, "stdout", "w", -1), (2, "stderr", "w", 1)):
        former = getattr(sys, name)
        stream = open(number, mode, buffering, former.encoding, former.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def main() -> None:
    program, descriptor = sys.argv[1:]
    del sys.path[0]
    modules = PROGRAMS[program]
    for module in modules:
        importlib.import_module(module)
    share_workers()
    gc.collect()
    gc.freeze()
    task = serve(socket.socket(fileno=int(descriptor)))
    if task is not None:
        sys.path.insert(0, "")
        run_task(modules[0], task)


if __name__ == "__main__":
    main()
