"""Inspect a watched folder without being blocked by a file server that does not answer."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass

from genrify_tagger.files import real_path

ANSWER_SECONDS = 5.0  # after which a file server counts as not responding


@dataclass(frozen=True)
class FolderState:
    """A folder as it is now: real path, identity (device, inode), whether it is empty, or why it cannot be read."""

    real: str
    identity: tuple[int, int] | None
    empty: bool = False
    problem: str | None = None


class FolderProbe:
    """Inspects a folder in a separate thread, because a dead file server never answers.

    Parameters
    ----------
    folder : str
        Its path.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._thread: threading.Thread | None = None
        self._started = 0.0
        self._answer: FolderState | None = None

    def start(self) -> None:
        """Start an inspection unless one is running, so that several folders are inspected at the same time."""
        if self._thread is None:
            self._answer, self._started = None, time.monotonic()
            self._thread = threading.Thread(target=self._inspect, name="genrify-probe", daemon=True)
            self._thread.start()

    def result(self) -> FolderState | None:
        """Return the result; None if there is none within `ANSWER_SECONDS` of the start."""
        self.start()
        assert self._thread is not None
        self._thread.join(max(self._started + ANSWER_SECONDS - time.monotonic(), 0.0))
        if self._thread.is_alive():
            return None
        self._thread = None
        return self._answer

    def _inspect(self) -> None:
        real = self._folder
        try:
            real = real_path(self._folder)
            stat = os.stat(real)
            with os.scandir(real) as entries:
                self._answer = FolderState(real, (stat.st_dev, stat.st_ino), next(entries, None) is None)
        except FileNotFoundError:
            self._answer = FolderState(real, None, problem="no such folder")
        except OSError as error:
            self._answer = FolderState(real, None, problem=error.strerror or str(error))
