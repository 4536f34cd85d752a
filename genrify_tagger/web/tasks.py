"""Changes of files that the page asked for: one behind the other, each a run of its own that can be undone."""

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
from genrify_tagger.pipeline import Result, Session, Summary, run_record

log = logging.getLogger(__name__)

COMMAND = "web"
_REMEMBERED = 200  # tasks; the journal remembers the rest
_TOLD = 1000  # results of one task


@dataclass
class Task:
    """A change of one file or many.

    Attributes
    ----------
    id : str
    state : str
        "running", "done" or "failed".
    run : int or None
        The run it is booked on, once it has begun.
    counts : Summary
        Files by status so far.
    results : list of Result
        What became of the files, the first thousand.
    error : str or None
        Why it ended before its time.
    """

    id: str
    state: str = "running"
    run: int | None = None
    counts: Summary = field(default_factory=Summary)
    results: list[Result] = field(default_factory=list)
    error: str | None = None


class Tasks:
    """The changes under way and the last ones that are done."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="genrify-changes")
        self._lock = threading.Lock()
        self._tasks: OrderedDict[str, Task] = OrderedDict()

    def carry_out(
        self, arguments: Sequence[str], work: Callable[[int], Iterable[Result]], *, wait: float = 1.0
    ) -> Task:
        """Do `work` under a run of its own, and return it as it stands after at most `wait` seconds.

        Parameters
        ----------
        arguments : sequence of str
            What was asked for, for the history.
        work : callable
            Changes files and yields what became of each; it is given the run's number.
        wait : float
        """
        task = Task(secrets.token_urlsafe(9))
        with self._lock:
            self._tasks[task.id] = task
            while len(self._tasks) > _REMEMBERED:
                self._tasks.popitem(last=False)
        done: Future[None] = self._pool.submit(self._do, task, arguments, work)
        with contextlib.suppress(TimeoutError):
            done.result(wait)
        return task

    def find(self, task: str) -> Task | None:
        """Return a task by its id."""
        with self._lock:
            return self._tasks.get(task)

    def close(self) -> None:
        """Let the write in hand finish, and begin no other."""
        self._session.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _do(self, task: Task, arguments: Sequence[str], work: Callable[[int], Iterable[Result]]) -> None:
        try:
            with run_record(self._session, COMMAND, arguments) as run:
                task.run = run.number
                task.counts = run.counts
                for result in work(run.number):
                    run.counts.add(result)
                    if len(task.results) < _TOLD:
                        task.results.append(result)
            task.state = "done"
        except (GenrifyError, OSError) as error:
            task.error, task.state = str(error), "failed"
        except Exception:
            # Nobody waits for this thread's result: without an end the page would ask for it for ever.
            log.exception("a change of files failed")
            task.error, task.state = "something unexpected happened; the log of the program tells more", "failed"
