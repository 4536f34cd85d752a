"""Settled files in groups that are processed together: each by itself, or with the rest of its album's folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from genrify_tagger.song_groups import album_folder
from genrify_tagger.watch.debouncer import Debouncer, SettledFile

LONGEST_SECONDS = 60.0  # that a settled file waits for other files of its folder
MOST_FILES = 1000


@dataclass
class _Held:
    since: float
    files: dict[str, SettledFile] = field(default_factory=dict)


class SettledAlbums:
    """Takes settled files from a debouncer.

    Parameters
    ----------
    debouncer : Debouncer
    by_album : bool
        Whether files wait until all files of their folder have settled.
    clock : callable
        A monotonic clock, in seconds.
    """

    def __init__(self, debouncer: Debouncer, *, by_album: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._debouncer = debouncer
        self._by_album = by_album
        self._clock = clock
        self._held: dict[str, _Held] = {}

    def __len__(self) -> int:
        return sum(len(held.files) for held in self._held.values())

    def due(self, open_folder: str | None = None) -> Iterator[list[SettledFile]]:
        """Yield and remove files to process together, as many groups as the caller takes.

        Parameters
        ----------
        open_folder : str or None
            An album's folder of which a rescan may still find files.
        """
        for settled in self._debouncer.due():
            if not self._by_album:
                yield [settled]
                continue
            held = self._held.setdefault(album_folder(settled.path), _Held(self._clock()))
            held.files[settled.path] = settled
        for folder, held in list(self._held.items()):
            is_late = self._clock() - held.since >= LONGEST_SECONDS or len(held.files) >= MOST_FILES
            if is_late or (folder != open_folder and not self._debouncer.waits_in(folder)):
                del self._held[folder]
                yield [*held.files.values()]

    def next_due(self) -> float | None:
        """Return the seconds until files may be due; None if none waits."""
        longest = [held.since + LONGEST_SECONDS - self._clock() for held in self._held.values()]
        waits = [wait for wait in (self._debouncer.next_due(), *longest) if wait is not None]
        return max(min(waits), 0.0) if waits else None
