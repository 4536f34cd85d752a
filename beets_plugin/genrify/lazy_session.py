"""The pipeline session of a beets process: opened on first use, closed when beets ends."""

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
    """Holds the session and the run that changes are journalled under; safe to use from the importer's threads.

    Parameters
    ----------
    load : callable
        Returns the settings; called when the session is opened.
    command : callable
        Returns the command line for the journal; called when the run is opened.
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
        """Whether the session is open."""
        return self._session is not None

    def session(self) -> Session:
        """Return the session, opening it first if necessary.

        Raises
        ------
        GenrifyError
            If it cannot be opened, or could not before.
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
        """Return the run that changes are journalled under, creating it first if necessary."""
        from genrify_tagger.pipeline import run_record

        with self._lock:
            if self._run is None:
                run = self._open.enter_context(
                    run_record(self.session(), self._command(), sys.argv[1:], model=self.session().sidecar.id)
                )
                self._run, self._counts = run.number, run.counts
            return self._run

    def count(self, result: Result) -> None:
        """Add a result to the run's counts, if there is a run."""
        with self._lock:
            if self._counts is not None:
                self._counts.add(result)

    def close(self, *, interrupted: bool = False) -> None:
        """Close the run and the session."""
        with self._lock:
            if interrupted and self._session is not None:
                self._session.stop.set()
                self._session.workers.interrupt()
            reason = KeyboardInterrupt() if interrupted else None
            self._open.__exit__(type(reason) if reason else None, reason, None)
            self._session = self._run = self._counts = None
