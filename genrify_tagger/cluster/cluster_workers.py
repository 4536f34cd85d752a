"""Workers on other machines, in the place of those of this one."""

from __future__ import annotations

import contextlib
import functools
import logging
import math
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, TypeVar

from genrify_tagger import __version__, worker_main
from genrify_tagger.analysis import Analysis, Sound
from genrify_tagger.classifier import load_sidecar
from genrify_tagger.cluster.dask_connection import load_dask, local_cluster
from genrify_tagger.cluster.dask_scheduler import DaskScheduler
from genrify_tagger.cluster.dask_tasks import DaskTasks, LateError
from genrify_tagger.cluster.remote_task import Refusal, Setup, SharedFile, run_task
from genrify_tagger.errors import GenrifyError, InterruptedScanError, WorkerUnavailableError
from genrify_tagger.files import display_path, names_elsewhere
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers

log = logging.getLogger(__name__)
T = TypeVar("T")

LOCAL = "local"
MOST_AT_ONCE = 256  # files in progress; each has a thread here that waits
LEAST_AT_ONCE = 64  # so that workers which join later have something to do


class ClusterWorkers(Workers):
    """Analyses on Dask workers; what belongs to a write is checked here.

    Parameters
    ----------
    address : str
        Of the scheduler, or `LOCAL` to start one in this process.
    paths : mapping of str to str
        Folders here, and where the workers have them.
    wait_seconds : float
        How long to wait for a scheduler or for workers that are away.
    longest : float
        Seconds of the longest song that is analysed; 0 for no limit.
    jobs, segments, sidecar, limits
        As for `Workers`; `jobs` processes verify writes here.

    Attributes
    ----------
    scheduler : DaskScheduler
        The scheduler and its workers.

    Raises
    ------
    ClusterError, ConfigError
        If there is no scheduler at the address, or it has no workers, or Dask's own settings are wrong.
    """

    def __init__(
        self,
        *,
        address: str,
        paths: Mapping[str, str],
        wait_seconds: float,
        longest: float = 0.0,
        jobs: int,
        segments: int,
        sidecar: str | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(jobs=jobs, segments=segments, sidecar=sidecar, limits=limits)
        limits = limits or Limits()
        self._paths = paths
        there = None if sidecar is None else names_elsewhere(sidecar, paths)[0]
        self._remote = Setup(__version__, load_sidecar(sidecar).id, there, segments, limits)
        self._longest = longest or math.inf
        self._fetched = threading.local()  # what a thread's last probe has fetched besides
        self._is_local = address == LOCAL
        load_dask()
        with contextlib.ExitStack() as opened:
            opened.callback(super().close)
            address = opened.enter_context(local_cluster(jobs)) if self._is_local else address
            self.scheduler = opened.enter_context(closing(DaskScheduler(address, wait_seconds=wait_seconds)))
            patience = 3 * limits.time_limit + 15
            self._tasks = opened.enter_context(closing(DaskTasks(self.scheduler, patience=patience)))
            self._opened = opened.pop_all()

    @property
    def capacity(self) -> int:
        """How many files to have in progress."""
        threads = sum(self.scheduler.workers.values())
        return 2 * threads if self._is_local else min(max(2 * threads, LEAST_AT_ONCE), MOST_AT_ONCE)

    def probe(self, path: str, *, is_new: bool = False) -> Sound:
        """Return the identity and true duration of the audio in a file; see `Workers`."""
        self._fetched.__dict__.clear()
        if not is_new:
            return super().probe(path)
        sound, titles, analysis = self.call(path, functools.partial(worker_main.examine, path, self._longest))
        self._fetched.of = path, titles, analysis
        return sound

    def read_titles(self, path: str) -> dict[str, str]:
        """Return the title, artist and album in a file's tags; this thread's last `probe` may have fetched them."""
        of, titles, _ = self._last_fetched()
        return titles if of == path and titles is not None else super().read_titles(path)

    def analyse(self, path: str, *, duration: float) -> Analysis:
        """Analyse a file; this thread's last `probe` may have done so."""
        of, _, analysis = self._last_fetched()
        return analysis if of == path and analysis is not None else super().analyse(path, duration=duration)

    def _last_fetched(self) -> tuple[str, dict[str, str] | None, Analysis | None]:
        return getattr(self._fetched, "of", ("", None, None))

    def interrupt(self) -> None:
        """End all analyses at once; see `Workers`."""
        self._tasks.interrupt()
        super().interrupt()

    def close(self) -> None:
        """Disconnect, and end the processes here."""
        self._opened.close()

    def call(self, path: str, task: Callable[[], T], *, interruptible: bool = True) -> T:
        """Do a task on a Dask worker, but one that may not be interrupted here; see `Workers`."""
        if not interruptible:
            return super().call(path, task, interruptible=False)
        assert isinstance(task, functools.partial)
        answer: T = self._call_remotely(path, task.func, task.args[1:])
        return answer

    def _call_remotely(self, path: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        stat = os.stat(path)
        file = SharedFile(tuple(names_elsewhere(path, self._paths)), stat.st_size, stat.st_mtime_ns)
        refused: dict[str, str] = {}
        while True:
            try:
                answer = self._tasks.run(
                    function.__name__, run_task, self._remote, file, function, arguments, excluded=refused
                )
            except LookupError:
                worker, reason = next(iter(refused.items()))
                raise WorkerUnavailableError(f"no Dask worker can read it; {worker}: {reason}", path=path) from None
            except LateError as late:
                log.warning(
                    "%s: the Dask worker %s takes too long; another one does it", display_path(path), late.worker
                )
                refused[late.worker] = "takes too long"
                continue
            except InterruptedScanError as error:
                raise InterruptedScanError(error.message, path=path) from None
            if isinstance(answer, Refusal) and answer.is_about_file:
                refused[answer.worker] = answer.reason
            elif isinstance(answer, Refusal):
                self.scheduler.refuse(answer.worker, answer.reason)
            elif isinstance(answer, GenrifyError):
                answer.path = path
                raise answer
            else:
                return answer
