"""What worker processes do with a file: decoding, features and the network never run in the parent.

A decoder is C code fed with untrusted files. A crash, a hang or a memory bomb must cost one file only, so each task
runs in a spawned process with a time limit and a memory limit; a process that breaks one is killed and replaced while
the others go on.
"""

from __future__ import annotations

import functools
import logging
import signal
from collections.abc import Callable
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
from genrify_tagger.process_pool import ProcessPool
from genrify_tagger.system_limits import available_processors
from genrify_tagger.worker_process import DiedError, NotStartedError

if TYPE_CHECKING:
    from genrify_tagger.config import AnalysisSettings
    from genrify_tagger.tags.mutagen_check import Comparison

log = logging.getLogger(__name__)
T = TypeVar("T")

STARTS = 2


class Workers:
    """Analyses files in a pool of worker processes, started on demand and ended when idle for some time.

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
        self._pool = ProcessPool(
            jobs, sidecar=sidecar, segments=segments, limits=self._limits, idle_seconds=idle_seconds
        )

    def start(self) -> None:
        """Start the first process now, without waiting for it, so that it is ready when the first file is."""
        self._pool.start()

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
        self._pool.interrupt()

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

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
                with self._pool.borrowed(interruptible=interruptible) as process:
                    return process.ask(task, self._limits.time_limit)
            except NotStartedError as error:
                # It died at its start or between two files; the file is not to blame, so use another process.
                lacked_memory = error.lacked_memory
            except TimeoutError:
                raise WorkerTimeoutError(f"took longer than {self._limits.time_limit:g} s", path=path) from None
            except DiedError as died:
                if interruptible and self._pool.is_interrupted:
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
