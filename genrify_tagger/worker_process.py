"""One spawned process that does tasks for its parent and can be killed without affecting anything else."""

from __future__ import annotations

import contextlib
import multiprocessing.context
import signal
import sys
import tempfile
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from genrify_tagger import worker_main
from genrify_tagger.system_limits import die_first, out_of_memory_kills

T = TypeVar("T")

START_SECONDS = 120.0
END_SECONDS = 2.0
KILLED = -9  # the exit status; Windows has no signal of that name


class NotStartedError(Exception):
    """The process had ended before it began the task."""

    def __init__(self, *, lacked_memory: bool = False) -> None:
        super().__init__()
        self.lacked_memory = lacked_memory


class DiedError(Exception):
    """The process ended during its task.

    Attributes
    ----------
    pid, status : int
        Number and exit status of the process.
    stderr : str
        What C libraries printed last.
    lacked_memory : bool
        Whether the kernel killed it for lack of memory.
    """

    def __init__(self, pid: int, status: int, stderr: str, *, lacked_memory: bool) -> None:
        super().__init__()
        self.pid = pid
        self.status = status
        self.stderr = stderr
        self.lacked_memory = lacked_memory

    @property
    def was_killed(self) -> bool:
        """Whether it was ended from outside: no decoder kills itself."""
        return self.status == KILLED


class WorkerProcess:
    """One worker process and the pipe to it."""

    def __init__(self, sidecar: str | None, segments: int, limits: worker_main.Limits) -> None:
        context = _CleanSpawnContext()
        pipes: tuple[Any, Any] = context.Pipe()  # of a type of its own on Windows
        self._pipe: Connection[Any, Any] = pipes[0]
        theirs: Connection[Any, Any] = pipes[1]
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - nameless, so that none is left over; lives as long as this
        weakref.finalize(self, self._stderr.close)
        arguments = (theirs, sidecar, segments, limits, _Inherited(self._stderr.fileno()))
        self._process = context.Process(target=worker_main.serve, args=arguments, name="genrify-worker", daemon=True)
        with _signals_held():
            self._process.start()
        die_first(self.pid)
        theirs.close()
        self._kills_before = out_of_memory_kills()
        self._is_ready = False
        self.is_usable = True

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid or 0

    def ask(self, task: Callable[[], T], seconds: float) -> T:
        """Run a task in the process and return its value.

        Raises
        ------
        TimeoutError
            If it took longer; the process has been killed.
        NotStartedError, DiedError
            If the process ended, before it began the task or over it.
        Exception
            Whatever the task raised.
        """
        self._begin(task)
        answer = self._answer(seconds)
        if isinstance(answer, BaseException):
            raise answer
        value: T = answer
        return value

    def _begin(self, task: Callable[[], T]) -> None:
        try:
            if not self._is_ready:
                self._is_ready = self._answer(START_SECONDS)
            self._pipe.send(task)
            # A pipe still accepts data while the process at its other end is dying.
            self._answer(START_SECONDS)
        except (DiedError, TimeoutError, OSError) as error:
            self.kill()
            raise NotStartedError(lacked_memory=isinstance(error, DiedError) and error.lacked_memory) from error

    def _answer(self, seconds: float) -> Any:
        try:
            if not self._pipe.poll(seconds):
                self.kill()
                raise TimeoutError
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            self.is_usable = False
            self._process.join()
            raise self._died() from None

    def _died(self) -> DiedError:
        status = self._process.exitcode or 0
        lacked_memory = status == KILLED and out_of_memory_kills() > self._kills_before
        return DiedError(self.pid, status, self._stderr_tail(), lacked_memory=lacked_memory)

    def _stderr_tail(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read()[-2000:].decode("utf-8", "replace").strip()

    def kill(self) -> None:
        """End the process at once, whatever it is doing; may be called from any thread."""
        self.is_usable = False
        self._process.kill()

    def end(self) -> None:
        """End an idle process, or one that has only just been started."""
        self._pipe.close()
        if self._is_ready:
            self._process.join(END_SECONDS)
        self.kill()
        self._process.join()


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Start a process with Ctrl-C and SIGTERM blocked: the parent handles them."""
    if sys.platform == "win32":
        yield
    else:
        former = signal.pthread_sigmask(signal.SIG_BLOCK, worker_main.PARENTS_SIGNALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


class _Inherited:
    """A descriptor for a process that is being spawned; unpickled there, it is that process's own number (or None)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[..., int | None], tuple[Any, ...]]:
        if sys.platform == "win32":
            return _nothing, ()
        else:
            return _detached, (reduction.DupFd(self._descriptor),)


def _nothing() -> None:
    return None


def _detached(inherited: Any) -> int:
    descriptor: int = inherited.detach()
    return descriptor


class _CleanSpawnProcess(multiprocessing.context.SpawnProcess):
    """A spawned process that does not run the parent's main module again (it may be all of beets)."""

    _hiding = threading.Lock()

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's own hook
        with _CleanSpawnProcess._hiding:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = types.ModuleType("__main__")
            try:
                return multiprocessing.context.SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _CleanSpawnContext(multiprocessing.context.SpawnContext):
    Process = _CleanSpawnProcess
