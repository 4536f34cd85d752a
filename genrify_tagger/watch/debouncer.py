"""Files wait here until they have been left alone long enough.

A file is settled when for `seconds` its size, times and inode have stayed the same and nobody has had it open for
writing. Only paths and fingerprints are held, and not more than `LIMIT` of them: beyond that, a look through the
library finds what was not noted.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from genrify_tagger.files import FileStat, fingerprint, has_writer

LIMIT = 50_000
RETRIES = 8
LONGEST_PAUSE = 3600.0
LOOKS = 6  # where the system does not tell who writes, a file whose writer was not seen to end is waited for longer
SHORTEST = 1.0  # seconds between two looks at one file

#: What programs put beside a file that is still being downloaded (aria2, Firefox, Chromium, qBittorrent ...).
COMPANIONS = (".part", ".crdownload", ".tmp", ".!qB", ".aria2", ".download", ".partial", ".opdownload")


@dataclass(slots=True)
class _Waiting:
    due: float
    seen: FileStat | None
    came_from: str | None
    tries: int
    writer: bool
    looks: int = 0


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file that may be touched, and where it was before if it was seen to be moved; `tries` counts vain attempts."""

    path: str
    came_from: str | None
    tries: int


class Debouncer:
    """The waiting room.

    Parameters
    ----------
    seconds : float
        How long a file must have been left alone.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._order: list[tuple[float, str]] = []
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def touch(
        self, path: str, *, came_from: str | None = None, writer: bool = False, pause: float = 0.0, tries: int = 0
    ) -> None:
        """Begin to wait for a file, anew if something happened to it again.

        Parameters
        ----------
        path : str
            The file.
        came_from : str or None
            Where it was before.
        writer : bool
            Whether somebody has begun to write it and was not seen to end.
        pause : float
            Seconds to wait beyond the usual.
        tries : int
            How often it was tried in vain.
        """
        known = self._waiting.get(path)
        if known is None and len(self._waiting) >= LIMIT:
            self.overflowed = True
            return
        if known is not None:
            came_from, tries = came_from or known.came_from, max(tries, known.tries)
        self._wait(path, _Waiting(self._clock() + self.seconds + pause, None, came_from, tries, writer))

    def moved(self, source: str, path: str) -> None:
        """Begin to wait for a file that was seen to be moved, perhaps not for the first time."""
        known = self._waiting.get(source)
        self.touch(path, came_from=(known.came_from if known else None) or source)

    def found(self, path: str, stat: FileStat, *, clocks_agree: bool) -> None:
        """Take a file that a look came upon.

        Parameters
        ----------
        path : str
            The file.
        stat : FileStat
            What the look saw.
        clocks_agree : bool
            Whether the file's times are of this machine's clock: one that has lain untouched long enough need not wait.
        """
        if path in self._waiting:
            return
        quiet = time.time() - max(stat.mtime_ns, stat.ctime_ns) / 1e9
        left = self.seconds - quiet if clocks_agree and quiet >= 0 else self.seconds
        self._wait(path, _Waiting(self._clock() + max(left, 0.0), stat, None, 0, False))

    def again(self, settled: SettledFile) -> bool:
        """Take back a file that could not be worked on for a reason that may pass; False after too many attempts."""
        if settled.tries >= RETRIES:
            return False
        pause = min(self.seconds * 2.0**settled.tries, LONGEST_PAUSE)
        self.touch(settled.path, came_from=settled.came_from, pause=pause, tries=settled.tries + 1)
        return True

    def next_due(self) -> float | None:
        """Return in how many seconds a file may be due; None if none waits."""
        while self._order and not self._is_current(self._order[0]):
            heapq.heappop(self._order)
        return max(self._order[0][0] - self._clock(), 0.0) if self._order else None

    def due(self) -> Iterator[SettledFile]:
        """Take out the files that have settled, and those that are gone, as far as the caller wants them."""
        while (pause := self.next_due()) is not None and pause <= 0:
            _, path = heapq.heappop(self._order)
            waiting = self._waiting[path]
            if self._is_settled(path, waiting):
                del self._waiting[path]
                yield SettledFile(path, waiting.came_from, waiting.tries)

    def _is_settled(self, path: str, waiting: _Waiting) -> bool:
        """Look at a file whose time has come; if it has not settled, it waits again."""
        now, open_for_writing = _observe(path)
        if now is None:
            return True
        if open_for_writing is None:
            open_for_writing = waiting.writer and waiting.looks < LOOKS
        changed = waiting.seen is not None and waiting.seen != now
        fresh = waiting.seen is None and _is_younger(now, self.seconds)
        if not (changed or fresh or open_for_writing or _is_partial(path)):
            return True
        waiting.looks = 0 if changed else waiting.looks + 1
        waiting.due, waiting.seen = self._clock() + max(self.seconds, SHORTEST), now
        self._wait(path, waiting)
        return False

    def _wait(self, path: str, waiting: _Waiting) -> None:
        self._waiting[path] = waiting
        heapq.heappush(self._order, (waiting.due, path))
        if len(self._order) > 2 * len(self._waiting) + 1000:
            self._order = [(waiting.due, path) for path, waiting in self._waiting.items()]
            heapq.heapify(self._order)

    def _is_current(self, entry: tuple[float, str]) -> bool:
        waiting = self._waiting.get(entry[1])
        return waiting is not None and waiting.due == entry[0]


def _observe(path: str) -> tuple[FileStat | None, bool | None]:
    """Return a file's fingerprint (None if it is gone) and whether somebody has it open for writing."""
    try:
        # Opening it makes a network file system ask its server; O_NONBLOCK, because it may have become a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        try:
            return fingerprint(os.stat(path)), None
        except OSError:
            return None, None
    try:
        return fingerprint(os.fstat(descriptor)), has_writer(descriptor)
    finally:
        os.close(descriptor)


def _is_younger(stat: FileStat, seconds: float) -> bool:
    """Whether a file's last change is less than `seconds` ago; a time in the future tells nothing."""
    return 0 <= time.time() - stat.mtime_ns / 1e9 < seconds * 0.9


def _is_partial(path: str) -> bool:
    return any(os.path.lexists(path + suffix) for suffix in COMPANIONS)
