"""Runs of the service: files that come together make one, which `genrify-tag undo` takes back as one."""

from __future__ import annotations

import time
from collections.abc import Callable

from genrify_tagger.pipeline import Result, Session, Summary

END_SECONDS = 5.0  # of quiet that end a batch
LONGEST_SECONDS = 900.0  # after which one ends all the same, as in the first look through a large library


class RunBatches:
    """The run that is open, if one is.

    Parameters
    ----------
    session : Session
        The open run's resources.
    arguments : list of str
        The command line, for the history.
    on_end : callable
        Called with the run and the number of files tagged, for each batch in which there were any.
    """

    def __init__(self, session: Session, arguments: list[str], on_end: Callable[[int, int], None]) -> None:
        self._session = session
        self._arguments = arguments
        self._on_end = on_end
        self._run: int | None = None
        self._counts = Summary()
        self._begun = self._last = 0.0

    def run(self) -> int:
        """Return the run to book changes on, a new one if none is open."""
        self._last = time.monotonic()
        if self._run is None:
            self._run = self._session.store.start_run("watch", self._arguments, self._session.sidecar.id)
            self._counts, self._begun = Summary(), self._last
        return self._run

    def add(self, result: Result) -> None:
        """Count a result of the open run."""
        self._counts.add(result)
        self._last = time.monotonic()

    def seconds_left(self) -> float | None:
        """Return in how many seconds the open run ends if nothing else comes; None if none is open."""
        if self._run is None:
            return None
        return max(min(self._last + END_SECONDS, self._begun + LONGEST_SECONDS) - time.monotonic(), 0.0)

    def end(self, status: str = "done") -> None:
        """End the open run, if any; one that changed nothing is dropped."""
        if self._run is None:
            return
        run, self._run = self._run, None
        tagged = self._counts["tagged"]
        self._session.store.finish_run(run, status, self._counts)
        if tagged:
            self._on_end(run, tagged)
        else:
            self._session.store.drop_run(run)
