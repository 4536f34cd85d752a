"""A pool of worker processes: decoding, features and the network never run in the parent.

A decoder is C code fed with untrusted files. A crash, a hang or a memory bomb must cost one file only, so each task
runs in a spawned process with a time limit and a memory limit; a process that breaks one is killed and replaced while
the others go on.

Each process has its own pipe and is used by one thread at a time. Pools with a shared queue (`pebble`,
`concurrent.futures`) cannot kill one process safely: it may have taken the next task, or hold a lock that the others
wait for. With them an interrupted scan sometimes hung while it verified a write.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from genrify_tagger import worker_main
from genrify_tagger.analysis import Analysis, Picture, Shortfall, Sound
from genrify_tagger.errors import (
    GenrifyError,
    InterruptedScanError,
    SystemMemoryError,
    WorkerCrashedError,
    WorkerError,
    WorkerKilledError,
    WorkerMemoryError,
    WorkerStartError,
    WorkerTimeoutError,
)
from genrify_tagger.system_limits import available_processors
from genrify_tagger.worker_process import DiedError, NotStartedError, WorkerProcess

if TYPE_CHECKING:
    from genrify_tagger.config import AnalysisSettings
    from genrify_tagger.tags.mutagen_check import Comparison

log = logging.getLogger(__name__)
T = TypeVar("T")

STARTS = 2


class Workers:
    """A pool of worker processes, started on demand and ended when idle for some time.

    Safe to use from several threads; each call blocks until its file is done.

    Parameters
    ----------
    jobs : int
        Maximum number of processes.
    segments : int
        Number of segments to analyse per song.
    sidecar : str or None
        Path of the model's sidecar; None for the shipped model.
    limits : Limits
        Time and memory for one file.
    idle_seconds : float
        The processes end after this long without a task; the next task starts new ones.
    """

    def __init__(
        self,
        *,
        jobs: int,
        segments: int,
        sidecar: str | None = None,
        limits: worker_main.Limits | None = None,
        idle_seconds: float = 60.0,
    ) -> None:
        self.jobs = jobs
        self._limits = limits or worker_main.Limits()
        self._setup = (sidecar, segments, self._limits)
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
        """Start the first process now, without waiting for it, so that it is ready when the first file is."""
        with self._changed:
            if not self._resting and not self._busy and self._early is None:
                self._last_used = time.monotonic()
                self._early = self._submit()

    @property
    def capacity(self) -> int:
        """How many files to have in progress, so that no process waits."""
        return self.jobs

    def probe(self, path: str, *, is_new: bool = False) -> Sound:
        """Return the identity and true duration of the audio in a file.

        Parameters
        ----------
        path : str
        is_new : bool
            Whether the song was most likely never analysed: workers far away then do that with the same call.

        Raises
        ------
        DecodeError
            If there is no audio in it.
        WorkerError
            If the file crashed, hung or flooded the worker.
        InterruptedScanError
            If `interrupt` was called meanwhile.
        """
        return self.call(path, functools.partial(worker_main.probe, path), interruptible=True)

    def analyse(self, path: str, *, duration: float) -> Analysis:
        """Analyse a file; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.analyse, path, duration), interruptible=True)

    def audio_key(self, path: str) -> str:
        """Return the audio key of a file, to verify that a write left the audio unchanged; not interruptible."""
        return self.call(path, functools.partial(worker_main.audio_key, path), interruptible=False)

    def has_audio_of(self, path: str, former: str, key: str) -> bool:
        """Tell whether a new file has the audio of the former one, whose audio key is `key`; not interruptible."""
        return self.call(path, functools.partial(worker_main.has_audio_of, path, former, key), interruptible=False)

    def compare_tags(self, container: str, field: str, former: str, fresh: str) -> Comparison:
        """Compare two files' tags except for the genre (`tags.mutagen_check`); not interruptible."""
        task = functools.partial(worker_main.compare_tags, container, field, former, fresh)
        return self.call(former, task, interruptible=False)

    def find_shortfall(self, path: str) -> Shortfall | None:
        """Return how much of a file is there if it is incomplete, else None; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.find_shortfall, path), interruptible=True)

    def read_titles(self, path: str) -> dict[str, str]:
        """Return the title, artist and album in a file's tags; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.read_titles, path), interruptible=True)

    def read_cover(self, path: str, *, size: int) -> bytes | None:
        """Return the picture embedded in a file as a JPEG of at most `size` pixels; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.read_cover, path, size), interruptible=True)

    def to_opus(self, path: str) -> bytes:
        """Return a song as a WebM file of Opus; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.to_opus, path), interruptible=True)

    def render_pictures(self, path: str, *, columns: int) -> Picture:
        """Render waveform and spectrogram of a song, in at most so many columns; errors are those of `probe`."""
        return self.call(path, functools.partial(worker_main.render_pictures, path, columns), interruptible=True)

    def interrupt(self) -> None:
        """End all analyses at once; a write in progress can still ask for audio keys."""
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

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, path: str, task: Callable[[], T], *, interruptible: bool = True) -> T:
        """Do a task on a file in a process; errors are those of `probe`.

        Parameters
        ----------
        path : str
            The file.
        task : callable
            A `functools.partial` of a function of `worker_main` with the path as its first argument.
        interruptible : bool
            Whether `interrupt` ends it.
        """
        lacked_memory = False
        # All idle processes may have been killed meanwhile.
        for _ in range(self.jobs + STARTS):
            try:
                with self._borrowed(path, interruptible=interruptible) as process:
                    return process.ask(task, self._limits.time_limit)
            except NotStartedError as error:
                # It died at its start or between two files; the file is not to blame, so use another process.
                lacked_memory = error.lacked_memory
            except TimeoutError:
                raise WorkerTimeoutError(f"took longer than {self._limits.time_limit:g} s", path=path) from None
            except DiedError as died:
                if interruptible and self._stopping:
                    raise InterruptedScanError("interrupted", path=path) from None
                raise self._crash(path, died) from None
            except MemoryError:
                limit = self._limits.memory_limit >> 20
                raise WorkerMemoryError(f"needs more than {limit} MB of memory", path=path) from None
            except GenrifyError as error:
                error.path = path
                raise
        if lacked_memory:
            raise self._lack_of_memory(path)
        raise WorkerStartError("the worker processes do not start", path=path, hint="see --verbose")

    @contextlib.contextmanager
    def _borrowed(self, path: str, *, interruptible: bool) -> Iterator[WorkerProcess]:
        process = self._take(path, interruptible=interruptible)
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

    def _take(self, path: str, *, interruptible: bool) -> WorkerProcess:
        """Wait for an idle process, or start a new one while there are fewer than `jobs`."""
        with self._changed:
            self._urgent += not interruptible
            self._changed.wait_for(lambda: self._may_take(interruptible=interruptible))
            self._urgent -= not interruptible
            if self._closed.is_set() or (interruptible and self._stopping):
                raise InterruptedScanError("interrupted", path=path)
            process = self._resting.pop() if self._resting else self._started()
            self._busy += 1
            if interruptible:
                self._interruptible.add(process)
            return process

    def _may_take(self, *, interruptible: bool) -> bool:
        if self._closed.is_set() or (interruptible and (self._stopping or self._urgent)):
            return self._closed.is_set() or self._stopping
        return bool(self._resting) or self._busy < self.jobs

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

    def _lack_of_memory(self, path: str) -> SystemMemoryError:
        fewer = f"lower analysis.jobs (--jobs, now {self.jobs}), or " if self.jobs > 1 else ""
        hint = f"{fewer}allow the program more memory; the next scan tries this file again"
        return SystemMemoryError("not enough memory: the system ended the worker process", path=path, hint=hint)

    def _crash(self, path: str, died: DiedError) -> WorkerError:
        if died.stderr:
            log.debug("worker %s on %r printed: %s", died.pid, path, died.stderr)
        if died.lacked_memory:
            return self._lack_of_memory(path)
        if died.was_killed:
            hint = "the next scan tries this file again"
            return WorkerKilledError("another program killed the worker process", path=path, hint=hint)
        how = signal.strsignal(-died.status) if died.status < 0 else f"exit status {died.status}"
        return WorkerCrashedError(f"the decoder crashed ({how})", path=path)


def workers_for(settings: AnalysisSettings, *, files: int | None = None) -> Workers:
    """Return the pool that the settings ask for, with no more processes than there are files, if that is known."""
    return Workers(**pool_options(settings, files=files))


def pool_options(settings: AnalysisSettings, *, files: int | None = None) -> dict[str, Any]:
    """Return the parameters of `Workers` that the settings ask for; see `workers_for`."""
    jobs = settings.jobs or available_processors()
    return {
        "jobs": jobs if files is None else min(jobs, max(files, 1)),
        "segments": settings.segments,
        "sidecar": settings.model or None,
        "limits": worker_main.Limits(
            time_limit=settings.time_limit_seconds, memory_limit=settings.memory_limit_mb << 20
        ),
    }
