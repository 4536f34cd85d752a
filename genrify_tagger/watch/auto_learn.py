"""Have the learned vocabulary renewed while the service has nothing else to do; see `learn.renew`."""

from __future__ import annotations

import contextlib
import json
import logging
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from tempfile import TemporaryFile
from typing import IO, Any

from genrify_tagger.config import Settings
from genrify_tagger.files import counted
from genrify_tagger.pipeline import Session

log = logging.getLogger(__name__)

PAUSE_SECONDS = 900.0  # at least, between two looks at whether it is worth it
FAILED_SECONDS = 86_400.0  # after learning anew gave nothing better
COMMAND = (sys.executable, "-m", "genrify_tagger.learn.renew")

# Elsewhere the process lowers its own priority.
if sys.platform == "win32":
    _IDLE_PRIORITY = subprocess.IDLE_PRIORITY_CLASS
else:
    _IDLE_PRIORITY = 0


class AutoLearn:
    """Starts a process of its own, so that the memory that learning takes is given back.

    Parameters
    ----------
    clock : callable
        A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._next = 0.0
        self._processed: int | None = None

    def tick(self, session: Session, *, processed: int, is_idle: bool) -> None:
        """Begin if the service is idle and has processed files since the last time; log the result once it is there.

        Parameters
        ----------
        session : Session
        processed : int
            How many files the service has processed.
        is_idle : bool
            Whether it has nothing to do.
        """
        if self._process is not None:
            if self._process.poll() is not None:
                self._end(session.settings.learn.name)
        elif is_idle and processed != self._processed and self._clock() >= self._next:
            self._processed, self._next = processed, self._clock() + PAUSE_SECONDS
            if _is_wanted(session):
                self._begin(session.settings)

    def close(self) -> None:
        """End the process; what it has not saved is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _begin(self, settings: Settings) -> None:
        quiet = replace(settings, analysis=replace(settings.analysis, jobs=1))
        self._output = TemporaryFile()  # noqa: SIM115 - closed in _end
        try:
            self._process = subprocess.Popen(
                COMMAND, stdin=subprocess.PIPE, stdout=self._output, creationflags=_IDLE_PRIORITY
            )
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError), self._process.stdin as stream:
                stream.write(pickle.dumps(quiet))
        except OSError as error:
            log.warning("learning anew could not be started: %s", error.strerror)

    def _end(self, name: str) -> None:
        assert self._process is not None and self._output is not None
        status, self._process = self._process.returncode, None
        with self._output as output:
            output.seek(0)
            lines = output.read().splitlines()
        if status != 0 or not lines:
            log.warning("learning anew failed with status %d", status)
            return
        done = json.loads(lines[-1])
        _log_result(name, done)
        if done["reason"] and not done["renewed"]:
            self._next = self._clock() + FAILED_SECONDS


def _is_wanted(session: Session) -> bool:
    """Tell whether the settings allow it, and decide by what was learned."""
    settings = session.settings
    is_used = settings.learn.auto and settings.tagging.evidence == "library"
    return is_used and session.store.vocabulary_in_use() is not None


def _log_result(name: str, done: dict[str, Any]) -> None:
    if done["renewed"]:
        learned = f"{counted(done['songs'], 'song')} and {counted(done['genres'], 'genre')}"
        log.info("vocabulary %s was learned anew from %s (%s); the next rescan uses it", name, learned, done["reason"])
    elif done["reason"]:
        log.info("vocabulary %s was not learned anew: %s", name, done["reason"])
