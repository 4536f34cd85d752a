"""Group files that the service processes together into a run, which `genrify-tag undo` undoes as one."""

from __future__ import annotations

import time
from collections.abc import Callable

from genrify_tagger.notify import ChangedFiles
from genrify_tagger.pipeline import Result, Session, Summary

END_SECONDS = 5.0  # without a new file, after which a batch ends
MAX_SECONDS = 900.0  # after which a batch ends anyway, as in the first scan of a large library


class RunBatches:
    """The current run, if there is one.

    Parameters
    ----------
    session : Session
    arguments : list of str
        The command line, for the history.
    on_end : callable
        Called with the files that were changed, for each batch in which there were any.
    """

    def __init__(self, session: Session, arguments: list[str], on_end: Callable[[ChangedFiles], None]) -> None:
        self._session = session
        self._arguments = arguments
        self._on_end = on_end
        self._run: int | None = None
        self._counts, self._changed = Summary(), ChangedFiles()
        self._begun = self._last = 0.0

    def run(self) -> int:
        """Return the id of the current run; start one if there is none."""
        self._last = time.monotonic()
        if self._run is None:
            self._run = self._session.store.start_run("watch", self._arguments, self._session.sidecar.id)
            self._counts, self._changed, self._begun = Summary(), ChangedFiles(self._run), self._last
        return self._run

    def add(self, result: Result) -> None:
        """Count a result of the current run."""
        self._counts.add(result)
        if result.status == "tagged":
            self._changed.add(result.path)
        self._last = time.monotonic()

    def seconds_left(self) -> float | None:
        """Return the seconds until the current run ends if no file arrives; None if there is no run."""
        if self._run is None:
            return None
        return max(min(self._last + END_SECONDS, self._begun + MAX_SECONDS) - time.monotonic(), 0.0)

    def end(self, status: str = "done") -> None:
        """End the current run, if any; drop it if it changed nothing."""
        if self._run is None:
            return
        run, self._run = self._run, None
        self._session.store.finish_run(run, status, self._counts)
        if self._changed.number:
            self._on_end(self._changed)
        else:
            self._session.store.drop_run(run)
