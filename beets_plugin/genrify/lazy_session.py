"""The one session of a beets process: opened when it is first needed, closed when beets ends."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from genrify_tagger.errors import GenrifyError

if TYPE_CHECKING:
    from genrify_tagger.config import Settings
    from genrify_tagger.pipeline import Result, Session, Summary


class LazySession:
    """Holds the session and the run that changes are booked on; safe to use from the importer's threads.

    Parameters
    ----------
    load : callable
        Returns the settings, when the session is opened.
    command : callable
        Says what runs, when there is something to book on it.
    """

    def __init__(self, load: Callable[[], Settings], command: Callable[[], str]) -> None:
        self._load = load
        self._command = command
        self._lock = threading.RLock()
        self._open = contextlib.ExitStack()
        self._session: Session | None = None
        self._run: int | None = None
        self._counts: Summary | None = None
        self._error: GenrifyError | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def session(self) -> Session:
        """Return the session.

        Raises
        ------
        GenrifyError
            If it cannot be opened; it is not tried twice.
        """
        from genrify_tagger.pipeline import open_session

        with self._lock:
            if self._error is not None:
                raise self._error
            if self._session is None:
                try:
                    self._session = self._open.enter_context(open_session(self._load()))
                except GenrifyError as error:
                    self._error = error
                    raise
            return self._session

    def run(self) -> int:
        """Return the run that changes are booked on."""
        from genrify_tagger.pipeline import run_record

        with self._lock:
            if self._run is None:
                run = self._open.enter_context(run_record(self.session(), self._command(), sys.argv[1:]))
                self._run, self._counts = run.number, run.counts
            return self._run

    def count(self, result: Result) -> None:
        """Count a result towards the run, if there is one."""
        with self._lock:
            if self._counts is not None:
                self._counts.add(result)

    def close(self, *, interrupted: bool = False) -> None:
        """Close the session; what was done is kept."""
        with self._lock:
            if interrupted and self._session is not None:
                self._session.stop.set()
                self._session.workers.interrupt()
            reason = KeyboardInterrupt() if interrupted else None
            self._open.__exit__(type(reason) if reason else None, reason, None)
            self._session = self._run = self._counts = None
