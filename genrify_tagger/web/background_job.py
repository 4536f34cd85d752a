"""A computation over the whole library, which takes seconds to minutes, in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from genrify_tagger.errors import GenrifyError

log = logging.getLogger(__name__)

T = TypeVar("T")
Step = Callable[[str], None]  # called with what is about to be done

_CLOSE_SECONDS = 5.0  # a step of numpy cannot be interrupted; after this time it is left to the end of the process


@dataclass(frozen=True)
class JobStatus:
    """How far a job is.

    Attributes
    ----------
    state : str
        "none" before the first start, "running", "done" or "failed".
    step : str or None
        What it is doing.
    seconds : float
        Time since its start, or that it took.
    error : str or None
        Why it failed.
    """

    state: str = "none"
    step: str | None = None
    seconds: float = 0.0
    error: str | None = None


class BackgroundJob(Generic[T]):
    """Runs one computation at a time and keeps the result of the last one that succeeded; changes no files.

    Parameters
    ----------
    work : callable
        The computation; it is given a callable for what it is about to do.
    turn : threading.Lock
        Shared by jobs that should not run at the same time.
    """

    def __init__(self, work: Callable[[Step], T], turn: threading.Lock) -> None:
        self._work, self._turn = work, turn
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._started = 0.0
        self._status = JobStatus()
        self._closing = threading.Event()
        self._result: T | None = None

    @property
    def result(self) -> T | None:
        """The result of the last computation that succeeded."""
        return self._result

    @property
    def status(self) -> JobStatus:
        """How far it is."""
        known = self._status
        if known.state != "running":
            return known
        return JobStatus(known.state, known.step, time.monotonic() - self._started)

    def start(self) -> None:
        """Start the computation, unless it is running."""
        with self._lock:
            if self._status.state == "running" or self._closing.is_set():
                return
            self._started = time.monotonic()
            self._status = JobStatus("running", "waiting for another computation")
            self._thread = threading.Thread(target=self._run, name="genrify-background", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End the computation at its next step, and wait a little for that."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        error = None
        try:
            with self._turn:
                self._result = self._work(self._step)
        except _ClosingError:
            return
        except (GenrifyError, OSError) as failure:
            error = str(failure)
        except Exception:
            # The page asks until the job has ended, so an unexpected error must end it, too.
            if not self._closing.is_set():
                log.exception("a computation over the library failed")
            error = "unexpected error; see the program's log"
        seconds = time.monotonic() - self._started
        self._status = JobStatus("failed" if error else "done", seconds=seconds, error=error)

    def _step(self, step: str) -> None:
        if self._closing.is_set():
            raise _ClosingError
        self._status = JobStatus("running", step)


class _ClosingError(Exception):
    """The server is being stopped."""
