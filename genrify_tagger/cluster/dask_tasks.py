"""Run functions on Dask workers; a call outlasts workers that die and a scheduler that restarts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from genrify_tagger.cluster.dask_connection import ANSWER_SECONDS
from genrify_tagger.cluster.dask_scheduler import DaskScheduler
from genrify_tagger.errors import ClusterError, InterruptedScanError, WorkerKilledError

if TYPE_CHECKING:
    from distributed import Future

CHECK_SECONDS = 2.0
_END_SECONDS = 1.0


class LateError(Exception):
    """A worker that has tasks has finished none for too long."""

    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.worker = worker


class DaskTasks:
    """Runs functions on a scheduler's workers, and watches over them; safe for several threads.

    Parameters
    ----------
    scheduler : DaskScheduler
    patience : float
        After how many seconds a worker that has tasks should have finished one.

    Raises
    ------
    ClusterError
        If no worker can be used.
    """

    def __init__(self, scheduler: DaskScheduler, *, patience: float) -> None:
        self._scheduler = scheduler
        self._patience = patience
        self._calls: set[_Call] = set()
        self._progress: dict[str, tuple[frozenset[str], float]] = {}  # what workers have, and since when all of it
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._monitor = threading.Thread(target=self._watch, name="genrify-cluster", daemon=True)
        self._monitor.start()
        try:
            scheduler.wait_for_workers(self._ending)
        except BaseException:
            self.close()
            raise

    def run(self, name: str, function: Callable[..., Any], *arguments: Any, excluded: Collection[str]) -> Any:
        """Run a function on a worker and return what it returns.

        Parameters
        ----------
        name : str
            Of the task, for the dashboard.
        function : callable
        *arguments
            Its arguments.
        excluded : collection of str
            Workers that shall not do it.

        Raises
        ------
        LookupError
            If there are only such workers.
        LateError
            If the worker that has it has finished nothing for too long.
        WorkerKilledError
            If several workers died of it.
        InterruptedScanError
            If `interrupt` or `close` was called.
        ClusterError
            If the scheduler or its workers are gone.
        """
        while True:
            call = self._begin(name, function, arguments, excluded)
            try:
                call.wait()
                if self._ending.is_set():
                    raise InterruptedScanError("interrupted")
                if call.future.status == "finished":
                    with contextlib.suppress(Exception):  # the worker went away with the answer: once more
                        return call.future.result(timeout=ANSWER_SECONDS)
                elif call.future.status == "error":
                    raise _task_error(call.future.exception())
                elif call.late is not None:
                    raise LateError(call.late)
            finally:
                self._end(call)

    def interrupt(self) -> None:
        """Give up all tasks; may be called from any thread."""
        self._ending.set()
        self._give_up_all()

    def close(self) -> None:
        """Give up all tasks and stop watching."""
        self.interrupt()
        self._monitor.join(_END_SECONDS)  # it may be waiting for the scheduler

    def _begin(
        self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], excluded: Collection[str]
    ) -> _Call:
        while not self._ending.is_set():
            self._scheduler.wait_for_workers(self._ending)
            usable = self._scheduler.workers
            allowed = [worker for worker in usable if worker not in excluded]
            if usable and not allowed:
                raise LookupError
            options = {"key": f"{name}-{uuid4().hex}", "pure": False, "workers": allowed}
            with contextlib.suppress(Exception):  # the connection, or the last worker, was lost this moment
                call = _Call(self._scheduler.client.submit(function, *arguments, **options), allowed)
                with self._lock:
                    self._calls.add(call)
                if self._ending.is_set():  # by an `interrupt` that has not seen it
                    call.give_up()
                return call
            self._ending.wait(0.1)
        raise InterruptedScanError("interrupted")

    def _end(self, call: _Call) -> None:
        with self._lock:
            self._calls.discard(call)
        with contextlib.suppress(Exception):
            if not call.future.done():
                call.future.cancel()

    def _watch(self) -> None:
        while not self._ending.is_set():
            if self._scheduler.look():
                self._note_who_has_what()
            else:
                self._give_up_all()  # Dask may never end what was begun while the connection was being lost
            self._ending.wait(CHECK_SECONDS if self._scheduler.workers else 0.25)

    def _note_who_has_what(self) -> None:
        with contextlib.suppress(Exception):
            processing = self._scheduler.client.processing()
            late = self._late_workers(processing)
            silent = self._scheduler.refuse_silent(late)
            usable = self._scheduler.workers.keys() - silent
            owners = {key: worker for worker, keys in processing.items() for key in keys}
            with self._lock:
                for call in self._calls:
                    worker = owners.get(call.future.key)
                    if worker in silent or (worker is None and not call.allowed & usable):
                        call.give_up()
                    elif worker in late:
                        call.give_up(late=worker)

    def _late_workers(self, processing: Mapping[str, Collection[str]]) -> set[str]:
        """Return workers that have finished nothing for too long; their tasks wait for each other."""
        now = time.monotonic()
        for worker, keys in processing.items():
            before, since = self._progress.get(worker, (frozenset(), now))
            has_finished_one = not before <= set(keys)
            self._progress[worker] = frozenset(keys), now if has_finished_one or not before else since
        return {worker for worker in processing if now - self._progress[worker][1] > self._patience}

    def _give_up_all(self) -> None:
        with self._lock:
            for call in self._calls:
                call.give_up()


class _Call:
    """A task on its way.

    Attributes
    ----------
    allowed : frozenset of str
        The workers that may do it.
    late : str or None
        The worker that should have done it long ago, if it was given up for that.
    """

    def __init__(self, future: Future[Any], allowed: Collection[str]) -> None:
        self.future = future
        self.allowed = frozenset(allowed)
        self.late: str | None = None
        self._changed = threading.Event()
        future.add_done_callback(lambda _: self._changed.set())

    def wait(self) -> None:
        """Wait until the task has ended or was given up."""
        self._changed.wait()

    def give_up(self, *, late: str | None = None) -> None:
        """Wake whoever waits."""
        self.late = late
        self._changed.set()


def _task_error(error: BaseException | None) -> ClusterError | WorkerKilledError:
    from distributed import KilledWorker

    if isinstance(error, KilledWorker):
        return WorkerKilledError("the Dask workers that analysed it died", hint="the next scan tries this file again")
    reason = str(error).partition("\n")[0].partition("\\n")[0]  # Dask's own are several lines, and escaped
    hint = "do all hosts have the same version of Genrify Tagger and of Dask?"
    return ClusterError(f"a Dask worker could not run the analysis: {reason}", hint=hint)
