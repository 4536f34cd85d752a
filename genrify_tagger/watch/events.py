"""File system events of a watched folder, from watchdog, in a queue for the main loop."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdog.events import (
    DirAttribEvent,
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from genrify_tagger.files import is_inside

if TYPE_CHECKING or sys.platform == "linux":
    from genrify_tagger.watch.inotify import InotifyObserver, InotifyReader

QUEUE_LIMIT = 100_000
TEMPORARY_PREFIX = ".genrify-"  # of the temporary files that replace a song when it is written

FILE, WRITING, MOVED, FOLDER = "file", "writing", "moved", "folder"


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a file (changed, being written, moved here) or of a folder."""

    kind: str
    path: str
    came_from: str | None = None


class EventQueue:
    """A queue of events from watchdog's threads to the main loop.

    Parameters
    ----------
    wake : callable
        Called when there are events to fetch.

    Attributes
    ----------
    overflowed : bool
        Whether events were dropped because the queue was full.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self._events: deque[Event] = deque()
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> None:
        """Add an event; called by watchdog's threads."""
        if len(self._events) >= QUEUE_LIMIT:
            self.overflowed = True
        else:
            self._events.append(event)
        if len(self._events) == 1 or self.overflowed:
            self.wake()

    def fetch(self, most: int = 5000) -> list[Event]:
        """Remove and return the oldest events."""
        return [self._events.popleft() for _ in range(min(len(self._events), most))]


class Watch:
    """A folder that the system watches recursively.

    Parameters
    ----------
    real, shown : str
        The folder's real path, and the path to report, under which the user knows it.
    wants, enters : callable
        Which files and folders matter, by their reported paths.
    queue : EventQueue
        Receives the events.

    Raises
    ------
    OSError
        If the system cannot watch the folder: ENOSPC or EMFILE if a limit is reached.
    """

    def __init__(
        self,
        real: str,
        shown: str,
        *,
        wants: Callable[[str], bool],
        enters: Callable[[str], bool],
        queue: EventQueue,
    ) -> None:
        self._inotify: InotifyReader | None = None
        if sys.platform == "linux":
            self._inotify = InotifyReader(
                lambda path: enters(_to_shown_path(os.fsdecode(path), real, shown)), queue.wake
            )
            self._observer: BaseObserver = InotifyObserver(self._inotify)
        else:
            self._observer = Observer()
        on_permission_change = (lambda _: None) if self._inotify is None else self._inotify.record_permission
        handler = _Handler(real, shown, wants, enters, queue, on_permission_change)
        filter_ = [*_EVENTS, FileModifiedEvent] if self._inotify is None else _EVENTS
        try:
            self._observer.schedule(handler, real, recursive=True, event_filter=filter_)
            self._observer.start()
        except BaseException:
            self.stop()
            raise

    @property
    def folders(self) -> int | None:
        """How many folders the system watches now; None where that is unknown."""
        return None if self._inotify is None else len(self._inotify.live)

    @property
    def hit_limit(self) -> bool:
        """Whether a folder could not be watched because the system's limit was reached."""
        return self._inotify is not None and self._inotify.hit_limit

    @property
    def needs_check(self) -> bool:
        """Whether events were lost, a limit reached, a file system unmounted or an unreadable folder made readable."""
        found = self._inotify
        return found is not None and (found.overflowed or found.hit_limit or found.unmounted or found.reopened)

    @property
    def unmounted(self) -> bool:
        """Whether a watched file system was unmounted."""
        return self._inotify is not None and self._inotify.unmounted

    @property
    def reopened(self) -> bool:
        """Whether a folder that could not be watched has become readable."""
        return self._inotify is not None and self._inotify.reopened

    @property
    def is_alive(self) -> bool:
        """Whether all threads of the watch run; they end when the folder itself is deleted."""
        threads = [self._observer, *self._observer.emitters, *([self._inotify] if self._inotify else [])]
        return all(thread.is_alive() for thread in threads) and bool(self._observer.emitters)

    def lost_events(self) -> bool:
        """Return whether the system has dropped events since the last call."""
        if self._inotify is None:
            return False
        lost, self._inotify.overflowed = self._inotify.overflowed, False
        return lost

    def stop(self) -> None:
        """End watching."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(5)
        elif self._inotify is not None:
            self._inotify.stop()


_EVENTS: list[type[FileSystemEvent]] = [
    *(FileCreatedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent, FileAttribEvent),
    *(DirCreatedEvent, DirMovedEvent, DirDeletedEvent, DirAttribEvent),
]


class _Handler(FileSystemEventHandler):
    """Turns watchdog's events into `Event`s of the files and folders that matter."""

    def __init__(
        self,
        real: str,
        shown: str,
        wants: Callable[[str], bool],
        enters: Callable[[str], bool],
        queue: EventQueue,
        on_permission_change: Callable[[str], None],
    ) -> None:
        self._real, self._shown = real, shown
        self._on_permission_change = on_permission_change
        self._wants, self._enters = wants, enters
        self._queue = queue

    def dispatch(self, event: FileSystemEvent) -> None:
        path, target = self._path(event.src_path), self._path(event.dest_path)
        if os.path.basename(path).startswith(TEMPORARY_PREFIX) or os.path.basename(target).startswith(TEMPORARY_PREFIX):
            return
        if isinstance(event, DirAttribEvent):
            self._on_permission_change(os.fsdecode(event.src_path))
        elif event.is_directory:
            self._folder(path)
            self._folder(target)
        elif isinstance(event, FileMovedEvent):
            self._file(FILE, path)
            self._file(MOVED, target, path)
        else:
            self._file(WRITING if isinstance(event, FileCreatedEvent) else FILE, path)

    def _file(self, kind: str, path: str, came_from: str | None = None) -> None:
        if path and self._wants(path):
            self._queue.put(Event(kind, path, came_from))
        elif kind == WRITING and os.path.islink(path):
            self._folder(path)

    def _folder(self, path: str) -> None:
        if path and self._enters(path):
            self._queue.put(Event(FOLDER, path))

    def _path(self, path: bytes | str) -> str:
        return _to_shown_path(os.fsdecode(path), self._real, self._shown)


def _to_shown_path(path: str, real: str, shown: str) -> str:
    """Return the path to report for a file in a watched folder."""
    return shown + path[len(real) :] if is_inside(path, [real]) else path
