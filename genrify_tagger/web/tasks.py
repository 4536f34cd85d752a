"""The queue of file changes requested on the page: one at a time, each its own undoable run."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError
from dataclasses import dataclass, field

from genrify_tagger.errors import GenrifyError
from genrify_tagger.notify import ChangedFiles
from genrify_tagger.pipeline import Result, Session, Summary, run_record

log = logging.getLogger(__name__)

COMMAND = "web"
_MAX_TASKS = 200  # older ones are in the journal only
_MAX_RESULTS = 1000  # of one task


@dataclass
class Task:
    """A change of one or more files.

    Attributes
    ----------
    id : str
    state : str
        "running", "done" or "failed".
    run : int or None
        Its run, once it has started.
    counts : Summary
        Files by status so far.
    results : list of Result
        Results by file, the first thousand.
    error : str or None
        Why it failed.
    """

    id: str
    state: str = "running"
    run: int | None = None
    counts: Summary = field(default_factory=Summary)
    results: list[Result] = field(default_factory=list)
    error: str | None = None


class TaskQueue:
    """The running, waiting and latest finished tasks.

    Parameters
    ----------
    session : Session
    on_done : callable
        Called after each task, with the files that it changed.
    """

    def __init__(self, session: Session, on_done: Callable[[ChangedFiles], None] = lambda _: None) -> None:
        self._session = session
        self._on_done = on_done
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="genrify-changes")
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, Task] = OrderedDict()

    def submit(self, arguments: Sequence[str], work: Callable[[int], Iterable[Result]], *, wait: float = 1.0) -> Task:
        """Queue `work` as its own run, and return the task after at most `wait` seconds.

        Parameters
        ----------
        arguments : sequence of str
            Description for the history.
        work : callable
            Given the run's number, changes files and yields a result for each.
        wait : float
        """
        task = Task(secrets.token_urlsafe(9))
        with self._lock:
            self._tasks[task.id] = task
            while len(self._tasks) > _MAX_TASKS:
                self._tasks.popitem(last=False)
        done: Future[None] = self._pool.submit(self._run, task, arguments, work)
        with contextlib.suppress(TimeoutError):
            done.result(wait)
        return task

    def find(self, task: str) -> Task | None:
        """Return a task by its id."""
        with self._lock:
            return self._tasks.get(task)

    def close(self) -> None:
        """Finish the write in progress and drop the rest."""
        self._session.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, task: Task, arguments: Sequence[str], work: Callable[[int], Iterable[Result]]) -> None:
        state, error, changed = "done", None, ChangedFiles()
        try:
            with run_record(self._session, COMMAND, arguments, model=self._session.sidecar.id) as run:
                task.run = run.number
                task.counts = run.counts
                changed.run = run.number
                for result in work(run.number):
                    run.counts.add(result)
                    if result.status == "tagged":
                        changed.add(result.path)
                    if len(task.results) < _MAX_RESULTS:
                        task.results.append(result)
        except (GenrifyError, OSError) as failure:
            state, error = "failed", str(failure)
        except Exception:
            # The page polls the task until it ends, so an unexpected error must end it, too.
            log.exception("a change of files failed")
            state, error = "failed", "unexpected error; see the program's log"
        self._on_done(changed)
        task.error, task.state = error, state
