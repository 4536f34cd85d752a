"""Delay files until no program writes to them any more.

A file has settled when its size, times and inode have not changed for `seconds` and no process has it open for
writing. At most `LIMIT` files wait; when there are more, `overflowed` is set and a rescan has to find the rest.
"""

from __future__ import annotations

import heapq
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from genrify_tagger import open_files
from genrify_tagger.files import FileStat, fingerprint, has_writer
from genrify_tagger.song_groups import album_folder

LIMIT = 50_000
RETRIES = 8
MAX_PAUSE = 3600.0
CHECKS = 6  # delays of a file whose writer was not seen to close it, where open writers cannot be detected
MIN_INTERVAL = 1.0  # seconds between two checks of a file

#: Suffixes of the files that accompany an unfinished download (aria2, Firefox, Chromium, qBittorrent ...).
PARTIAL_SUFFIXES = (".part", ".crdownload", ".tmp", ".!qB", ".aria2", ".download", ".partial", ".opdownload")


@dataclass(slots=True)
class _Waiting:
    due: float
    seen: FileStat | None
    came_from: str | None
    tries: int
    writer: bool
    since: float
    checks: int = 0


@dataclass(frozen=True, slots=True)
class SettledFile:
    """A file ready to be processed.

    Attributes
    ----------
    path : str
    came_from : str or None
        Its path before an observed move.
    tries : int
        How often processing it has failed.
    since : float
        Since when it has been as it is, by the debouncer's clock.
    """

    path: str
    came_from: str | None
    tries: int
    since: float


class Debouncer:
    """Files waiting to settle.

    Parameters
    ----------
    seconds : float
        How long a file must stay unchanged.
    clock : callable
        A monotonic clock, in seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._order: list[tuple[float, str]] = []
        self._in_folders: Counter[str] = Counter()  # waiting files by the folder of their album
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def waits_in(self, folder: str) -> bool:
        """Whether a file waits that may belong to an album in a folder (see `song_groups.album_folder`)."""
        return self._in_folders[folder] > 0

    def touch(
        self, path: str, *, came_from: str | None = None, writer: bool = False, pause: float = 0.0, tries: int = 0
    ) -> None:
        """Start or restart the wait for a file.

        Parameters
        ----------
        path : str
            The file.
        came_from : str or None
            Its path before a move.
        writer : bool
            Whether a process opened it for writing and was not seen to close it.
        pause : float
            Seconds to wait in addition.
        tries : int
            How often processing it has failed.
        """
        known = self._waiting.get(path)
        if known is None and len(self._waiting) >= LIMIT:
            self.overflowed = True
            return
        if known is not None:
            came_from, tries = came_from or known.came_from, max(tries, known.tries)
        now = self._clock()
        self._wait(path, _Waiting(now + self.seconds + pause, None, came_from, tries, writer, since=now))

    def moved(self, source: str, path: str) -> None:
        """Start the wait for a file that was moved; `came_from` stays the first path of several moves."""
        known = self._waiting.get(source)
        self.touch(path, came_from=(known.came_from if known else None) or source)

    def found(self, path: str, stat: FileStat, *, clocks_agree: bool) -> None:
        """Start the wait for a file that a rescan found.

        Parameters
        ----------
        path : str
            The file.
        stat : FileStat
            Its fingerprint then.
        clocks_agree : bool
            Whether the file's times come from this machine's clock: a file old enough then need not wait.
        """
        if path in self._waiting:
            return
        quiet = time.time() - max(stat.mtime_ns, stat.ctime_ns) / 1e9
        left = self.seconds - quiet if clocks_agree and quiet >= 0 else self.seconds
        now = self._clock()
        self._wait(path, _Waiting(now + max(left, 0.0), stat, None, 0, False, since=now))

    def retry(self, settled: SettledFile) -> bool:
        """Wait for a file again after a temporary failure; False after too many of them."""
        if settled.tries >= RETRIES:
            return False
        pause = min(self.seconds * 2.0**settled.tries, MAX_PAUSE)
        self.touch(settled.path, came_from=settled.came_from, pause=pause, tries=settled.tries + 1)
        return True

    def next_due(self) -> float | None:
        """Return the seconds until a file may be due; None if none waits."""
        while self._order and not self._is_current(self._order[0]):
            heapq.heappop(self._order)
        return max(self._order[0][0] - self._clock(), 0.0) if self._order else None

    def due(self) -> Iterator[SettledFile]:
        """Yield and remove files that have settled or vanished, as many as the caller takes."""
        while (pause := self.next_due()) is not None and pause <= 0:
            _, path = heapq.heappop(self._order)
            waiting = self._waiting[path]
            if self._is_settled(path, waiting):
                self._remove(path)
                yield SettledFile(path, waiting.came_from, waiting.tries, waiting.since)

    def _is_settled(self, path: str, waiting: _Waiting) -> bool:
        """Check a file that is due; if it has not settled, it waits again."""
        now, open_for_writing = _inspect(path)
        if now is None:
            return True
        if open_for_writing is None:
            open_for_writing = waiting.writer and waiting.checks < CHECKS
        changed = waiting.seen is not None and waiting.seen != now
        fresh = waiting.seen is None and _is_younger(now, self.seconds)
        if not (changed or fresh or open_for_writing or _is_partial(path)):
            return True
        waiting.checks = 0 if changed else waiting.checks + 1
        waiting.since = self._clock()
        waiting.due, waiting.seen = waiting.since + max(self.seconds, MIN_INTERVAL), now
        self._wait(path, waiting)
        return False

    def _remove(self, path: str) -> None:
        del self._waiting[path]
        folder = album_folder(path)
        self._in_folders[folder] -= 1
        if not self._in_folders[folder]:
            del self._in_folders[folder]

    def _wait(self, path: str, waiting: _Waiting) -> None:
        self._in_folders[album_folder(path)] += path not in self._waiting
        self._waiting[path] = waiting
        heapq.heappush(self._order, (waiting.due, path))
        if len(self._order) > 2 * len(self._waiting) + 1000:
            self._order = [(waiting.due, path) for path, waiting in self._waiting.items()]
            heapq.heapify(self._order)

    def _is_current(self, entry: tuple[float, str]) -> bool:
        waiting = self._waiting.get(entry[1])
        return waiting is not None and waiting.due == entry[0]


def _inspect(path: str) -> tuple[FileStat | None, bool | None]:
    """Return a file's fingerprint (None if it is gone) and whether a process has it open for writing."""
    try:
        # Opening makes a network file system ask its server.
        descriptor = os.open(path, open_files.READ)
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
    """Whether a file's last change is less than `seconds` ago; a time in the future does not count."""
    return 0 <= time.time() - stat.mtime_ns / 1e9 < seconds * 0.9


def _is_partial(path: str) -> bool:
    return any(os.path.lexists(path + suffix) for suffix in PARTIAL_SUFFIXES)
