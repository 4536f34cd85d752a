"""A pool of worker processes, each with its own pipe and used by one thread at a time.

Pools with a shared queue (`pebble`, `concurrent.futures`) cannot kill one process safely: it may have taken the next
task, or hold a lock that the others wait for. With them an interrupted scan sometimes hung while it verified a write.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from genrify_tagger.errors import InterruptedScanError
from genrify_tagger.worker_main import Limits
from genrify_tagger.worker_process import NotStartedError, WorkerProcess

log = logging.getLogger(__name__)


class ProcessPool:
    """Processes that are started on demand and ended when idle for some time; safe for several threads.

    Parameters
    ----------
    size : int
        Maximum number of processes.
    sidecar, segments, limits
        As for `WorkerProcess`.
    idle_seconds : float
        The processes end after this long without a task; the next task starts new ones.
    """

    def __init__(
        self, size: int, *, sidecar: str | None, segments: int, limits: Limits, idle_seconds: float = 60.0
    ) -> None:
        self._size = size
        self._setup = (sidecar, segments, limits)
        self._idle_seconds = idle_seconds
        self._changed = threading.Condition()
        self._resting: list[WorkerProcess] = []
        self._interruptible: set[WorkerProcess] = set()
        self._busy = 0
        self._urgent = 0  # number of threads that wait for a process and must get one
        self._stopping = False
        self._last_used = time.monotonic()
        self._closed = threading.Event()
        # A worker process dies with the thread that started it.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="genrify-starter")
        self._early: Future[WorkerProcess] | None = None
        self._watcher: threading.Thread | None = None

    def start(self) -> None:
        """Start the first process now, without waiting for it, so that it is ready when the first task is."""
        with self._changed:
            if not self._resting and not self._busy and self._early is None:
                self._last_used = time.monotonic()
                self._early = self._submit()

    @property
    def is_interrupted(self) -> bool:
        """Whether `interrupt` or `close` was called."""
        return self._stopping

    def interrupt(self) -> None:
        """Kill the processes that were borrowed for interruptible tasks, and lend none for such tasks any more."""
        with self._changed:
            self._stopping = True
            for process in self._interruptible:
                process.kill()
            self._changed.notify_all()

    def close(self) -> None:
        """End the processes."""
        self._closed.set()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._end_resting()
        self._starter.shutdown()

    @contextlib.contextmanager
    def borrowed(self, *, interruptible: bool) -> Iterator[WorkerProcess]:
        """Lend a process, once one is idle or may be started.

        Raises
        ------
        InterruptedScanError
            If the pool was closed, or interrupted and the task is interruptible.
        NotStartedError
            If no process can be started.
        """
        process = self._take(interruptible=interruptible)
        try:
            yield process
        finally:
            with self._changed:
                self._busy -= 1
                self._interruptible.discard(process)
                self._last_used = time.monotonic()
                if process.is_usable and not self._closed.is_set():
                    self._resting.append(process)
                else:
                    process.kill()
                self._changed.notify_all()

    def _take(self, *, interruptible: bool) -> WorkerProcess:
        with self._changed:
            self._urgent += not interruptible
            self._changed.wait_for(lambda: self._may_take(interruptible=interruptible))
            self._urgent -= not interruptible
            if self._closed.is_set() or (interruptible and self._stopping):
                raise InterruptedScanError("interrupted")
            process = self._resting.pop() if self._resting else self._started()
            self._busy += 1
            if interruptible:
                self._interruptible.add(process)
            return process

    def _may_take(self, *, interruptible: bool) -> bool:
        if self._closed.is_set() or (interruptible and (self._stopping or self._urgent)):
            return self._closed.is_set() or self._stopping
        return bool(self._resting) or self._busy < self._size

    def _started(self) -> WorkerProcess:
        starting, self._early = self._early or self._submit(), None
        try:
            return starting.result()
        except OSError as error:  # no memory, no descriptors, no room for what it prints
            log.debug("a worker process cannot be started: %s", error)
            raise NotStartedError from error

    def _submit(self) -> Future[WorkerProcess]:
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._end_when_idle, name="genrify-idle", daemon=True)
            self._watcher.start()
        return self._starter.submit(WorkerProcess, *self._setup)

    def _end_resting(self) -> None:
        with self._changed:
            ending, self._resting = self._resting, []
            early, self._early = self._early, None
        if early is not None:
            with contextlib.suppress(OSError):
                ending.append(early.result())
        for process in ending:
            process.end()

    def _end_when_idle(self) -> None:
        while not self._closed.wait(min(self._idle_seconds / 4, 15.0)):
            if not self._busy and time.monotonic() - self._last_used > self._idle_seconds:
                self._end_resting()
