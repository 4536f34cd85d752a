"""Listening in processes that may die: decoding, features and the network never run in the parent.

A decoder is C code fed with other people's files. A crash, a hang or a memory bomb must cost one file, so each task
runs in a spawned process with a time limit and a memory limit; a process that breaks one is killed and replaced
while the others go on (pebble does that; `concurrent.futures.ProcessPoolExecutor` cannot kill a hung task).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing.context
import shutil
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, TimeoutError
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from genrify_tagger import listener
from genrify_tagger.analysis import Analysis, Sound
from genrify_tagger.errors import (
    GenrifyError,
    InterruptedScanError,
    WorkerCrashedError,
    WorkerError,
    WorkerMemoryError,
    WorkerTimeoutError,
)

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 2


class Workers:
    """A pool of listening processes, started when the first file comes and ended when none came for a while.

    Safe to use from several threads; each call blocks until its file is done.

    Parameters
    ----------
    jobs : int
        Number of processes.
    segments : int
        Segments to listen to in each song.
    sidecar : str or None
        Path of the model's sidecar; None for the shipped model.
    limits : Limits
        Time and memory for one file.
    idle_seconds : float
        After so long without a task the processes end; the next task starts new ones.
    """

    def __init__(
        self,
        *,
        jobs: int,
        segments: int,
        sidecar: str | None = None,
        limits: listener.Limits | None = None,
        idle_seconds: float = 60.0,
    ) -> None:
        self.jobs = jobs
        self._segments = segments
        self._sidecar = sidecar
        self._limits = limits or listener.Limits()
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._stderr_folder: str | None = None
        self._running: set[ProcessFuture[Any]] = set()
        self._listening: set[ProcessFuture[Any]] = set()
        self._stopping = False
        self._last_used = time.monotonic()
        self._closed = threading.Event()

    def probe(self, path: str) -> Sound:
        """Return the identity and true duration of the audio in a file.

        Raises
        ------
        DecodeError
            If there is no audio in it.
        WorkerError
            If the file crashed, hung or flooded the worker.
        InterruptedScanError
            If `interrupt` was called meanwhile.
        """
        return self._call(path, functools.partial(listener.probe, path), interruptible=True)

    def analyse(self, path: str, *, duration: float) -> Analysis:
        """Listen to a file; errors are those of `probe`."""
        return self._call(path, functools.partial(listener.analyse, path, duration), interruptible=True)

    def audio_key(self, path: str) -> str:
        """Return the audio key of a file, to prove that a write left the audio alone; not interruptible."""
        return self._call(path, functools.partial(listener.probe, path), interruptible=False).key

    def interrupt(self) -> None:
        """End all listening at once; identities wanted by a write in hand are still answered."""
        with self._lock:
            self._stopping = True
            listening = list(self._listening)
        for future in listening:
            future.cancel()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        self._stop_pool()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, path: str, task: Callable[[], T], *, interruptible: bool) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._scheduled(task, interruptible=interruptible) as future:
                    return future.result()
            except CancelledError:
                raise InterruptedScanError("interrupted", path=path) from None
            except BrokenProcessPool:
                # A worker died between two files; that is no file's fault, so ask a new pool once more.
                if attempt == ATTEMPTS:
                    raise WorkerError("the worker processes do not start", path=path, hint="see --verbose") from None
            except TimeoutError:
                raise self._timeout(path) from None
            except ProcessExpired as error:
                # Who stops a service ends all its processes at once; that is no file's fault either.
                if error.exitcode != -signal.SIGTERM or attempt == ATTEMPTS:
                    raise self._crash(path, error) from None
            except MemoryError:
                limit = self._limits.memory_limit >> 20
                raise WorkerMemoryError(f"needs more than {limit} MB of memory", path=path) from None
            except GenrifyError as error:
                error.path = path
                raise
            except Exception as error:
                # Whatever a library raised on somebody's file is that file's failure and no reason to stop a run.
                log.debug("worker failed on %r", path, exc_info=error)
                raise WorkerError(f"could not be analysed ({type(error).__name__}: {error})", path=path) from error
            finally:
                self._last_used = time.monotonic()
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _scheduled(self, task: Callable[[], T], *, interruptible: bool) -> Iterator[ProcessFuture[T]]:
        with self._lock:
            if interruptible and self._stopping:
                raise CancelledError
            if self._pool is None:
                self._pool = self._start_pool()
                threading.Thread(target=self._stop_when_idle, name="genrify-idle", daemon=True).start()
            pool = self._pool
            try:
                limit = self._limits.time_limit
                # The pool goes by the clock, and would take a clock that is set forward for a file that hangs.
                timeout = None if listener.HAS_TIMER else limit
                future: ProcessFuture[T] = pool.schedule(listener.guarded, (task, limit), timeout=timeout)
            except RuntimeError as error:  # pebble's word for a pool that broke or was stopped
                self._pool = None
                raise BrokenProcessPool from error
            self._running.add(future)
            if interruptible:
                self._listening.add(future)
        try:
            yield future
        except BrokenProcessPool:
            self._stop_pool(only_if=lambda: self._pool is pool)
            raise
        finally:
            with self._lock:
                self._running.discard(future)
                self._listening.discard(future)

    def _start_pool(self) -> ProcessPool:
        self._stderr_folder = tempfile.mkdtemp(prefix="genrify-workers-")
        return ProcessPool(
            max_workers=self.jobs,
            initializer=listener.warm_up,
            initargs=(self._sidecar, self._segments, self._limits, self._stderr_folder),
            context=_CleanSpawnContext(),
        )

    def _stop_pool(self, *, only_if: Callable[[], bool] = lambda: True) -> bool:
        with self._lock:
            if self._pool is None or not only_if():
                return False
            pool, self._pool = self._pool, None
            folder, self._stderr_folder = self._stderr_folder, None
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def _idle(self) -> bool:
        return not self._running and time.monotonic() - self._last_used > self._idle_seconds

    def _stop_when_idle(self) -> None:
        pool = self._pool
        while not self._closed.wait(min(self._idle_seconds / 4, 15.0)):
            if self._pool is not pool or self._stop_pool(only_if=self._idle):
                return

    def _timeout(self, path: str) -> WorkerTimeoutError:
        return WorkerTimeoutError(f"took longer than {self._limits.time_limit:g} s", path=path)

    def _crash(self, path: str, error: ProcessExpired) -> WorkerError:
        words = self._last_words(error.pid)
        if words:
            log.debug("worker %s on %r said: %s", error.pid, path, words)
        code = error.exitcode or 0
        if listener.HAS_TIMER and code == -signal.SIGALRM:
            return self._timeout(path)
        how = signal.strsignal(-code) if code < 0 else f"exit status {code}"
        return WorkerCrashedError(f"the decoder crashed on it ({how})", path=path)

    def _last_words(self, pid: int | None) -> str:
        folder = self._stderr_folder
        if folder is None or pid is None:
            return ""
        try:
            return (Path(folder) / str(pid)).read_text("utf-8", "replace")[-2000:].strip()
        except OSError:
            return ""


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
