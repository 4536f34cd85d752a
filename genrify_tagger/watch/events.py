"""What the system tells of a folder: the one place that knows watchdog, and what it keeps to itself.

On Linux watchdog 7.1 rebuilds its watches after an overflow of the kernel's queue but tells no handler that events
were lost, goes on with fewer watches than there are folders when the limit is reached, and drops the news that a file
system was unmounted. All of it passes through the one object that reads the kernel's queue, `InotifyFD`, which may be
handed in: `_Inotify` notes it there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING or sys.platform == "linux":
    from watchdog.observers.inotify import InotifyEmitter
    from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

INBOX_LIMIT = 100_000
OURS = ".genrify-"  # the first letters of the temporary files that a write of ours puts in place of a song

FILE, WRITING, MOVED, FOLDER = "file", "writing", "moved", "folder"


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: to a file, to one that is being written, to one that was moved here, to a folder."""

    kind: str
    path: str
    came_from: str | None = None


class EventQueue:
    """News on their way from the system's threads to the main loop.

    Parameters
    ----------
    wake : callable
        Called when there is something to fetch.

    Attributes
    ----------
    overflowed : bool
        Whether news were dropped because nobody came for them.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self._news: deque[Event] = deque()
        self.overflowed = False

    def __len__(self) -> int:
        return len(self._news)

    def put(self, news: Event) -> None:
        """Add one; called by the system's threads."""
        if len(self._news) >= INBOX_LIMIT:
            self.overflowed = True
        else:
            self._news.append(news)
        if len(self._news) == 1 or self.overflowed:
            self.wake()

    def fetch(self, most: int = 5000) -> list[Event]:
        """Take out the oldest ones."""
        return [self._news.popleft() for _ in range(min(len(self._news), most))]


class Watch:
    """A folder that the system watches, with all that is in it.

    Parameters
    ----------
    real, shown : str
        The folder's real path, and by what path the user knows it.
    wants, enters : callable
        Which files and folders matter, by the paths that the user knows.
    queue : Inbox
        Where news go.

    Raises
    ------
    OSError
        If the system cannot watch this folder: ENOSPC or EMFILE if its limit is reached.
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
        self._inotify: _Inotify | None = None
        if sys.platform == "linux":
            self._inotify = _Inotify(lambda path: enters(_translated(os.fsdecode(path), real, shown)), queue.wake)
            self._observer: BaseObserver = _LinuxObserver(self._inotify)
        else:
            self._observer = Observer()
        permitted = (lambda _: None) if self._inotify is None else self._inotify.note_permission
        handler = _Handler(real, shown, wants, enters, queue, permitted)
        filter_ = [*_EVENTS, FileModifiedEvent] if self._inotify is None else _EVENTS
        try:
            self._observer.schedule(handler, real, recursive=True, event_filter=filter_)
            self._observer.start()
        except BaseException:
            self.stop()
            raise

    @property
    def folders(self) -> int | None:
        """How many folders the system watches at this moment; None where it does not tell."""
        return None if self._inotify is None else len(self._inotify.live)

    @property
    def hit_limit(self) -> bool:
        """Whether some folder could not be watched because the system's limit was reached."""
        return self._inotify is not None and self._inotify.hit_limit

    @property
    def is_alarmed(self) -> bool:
        """Whether events were lost, a limit reached, a file system unmounted or a closed folder opened."""
        found = self._inotify
        return found is not None and (found.overflowed or found.hit_limit or found.unmounted or found.reopened)

    @property
    def unmounted(self) -> bool:
        """Whether a watched file system has gone."""
        return self._inotify is not None and self._inotify.unmounted

    @property
    def reopened(self) -> bool:
        """Whether a folder that could not be watched may be read now."""
        return self._inotify is not None and self._inotify.reopened

    @property
    def is_alive(self) -> bool:
        """Whether all that is needed for watching is running; it ends when the folder itself is deleted."""
        threads = [self._observer, *self._observer.emitters, *([self._inotify] if self._inotify else [])]
        return all(thread.is_alive() for thread in threads) and bool(self._observer.emitters)

    def lost_events(self) -> bool:
        """Tell whether the system dropped events since this was last asked."""
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
    """Turns watchdog's events into news of what matters."""

    def __init__(
        self,
        real: str,
        shown: str,
        wants: Callable[[str], bool],
        enters: Callable[[str], bool],
        queue: EventQueue,
        permitted: Callable[[str], None],
    ) -> None:
        self._real, self._shown = real, shown
        self._permitted = permitted
        self._wants, self._enters = wants, enters
        self._queue = queue

    def dispatch(self, event: FileSystemEvent) -> None:
        path, target = self._path(event.src_path), self._path(event.dest_path)
        if os.path.basename(path).startswith(OURS) or os.path.basename(target).startswith(OURS):
            return
        if isinstance(event, DirAttribEvent):
            self._permitted(os.fsdecode(event.src_path))
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
        return _translated(os.fsdecode(path), self._real, self._shown)


def _translated(path: str, real: str, shown: str) -> str:
    """Return by what path the user knows a file in a watched folder."""
    return shown + path[len(real) :] if path == real or path.startswith(real.rstrip("/") + "/") else path


# A watch that is being stopped may find itself stopped: no error.
logging.getLogger("watchdog.observers.inotify").addFilter(lambda record: "is inactive" not in record.getMessage())

if sys.platform == "linux":

    class _LinuxObserver(BaseObserver):
        """`InotifyObserver` with a reader of ours."""

        def __init__(self, inotify: _Inotify) -> None:
            self._reader = inotify
            inotify.start()
            super().__init__(InotifyEmitter, inotify_fd=inotify)

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._reader.stop()
            with contextlib.suppress(RuntimeError):
                self._reader.join(5)

    class _Inotify(InotifyFD):
        """The kernel's queue of one watched folder."""

        def __init__(self, enters: Callable[[bytes], bool], wake: Callable[[], None]) -> None:
            super().__init__()
            self._enters = enters
            self._wake = wake
            self.live: set[WatchDescriptor] = set()
            self._noting = threading.Lock()
            self._refused: set[str] = set()
            self.hit_limit = self.overflowed = self.unmounted = self.reopened = False

        def add_callback(self, path: bytes, mask: Mask, callback: Any, id_: Any) -> WatchDescriptor:
            """Watch one folder, unless no song in it would matter."""
            if not self._enters(path):
                raise FileNotFoundError(errno.ENOENT, "not part of the library")  # watchdog goes on with the next
            try:
                # Permissions given later let a file that could not be read be tried again.
                mask = Mask(mask | InotifyConstants.IN_ATTRIB | InotifyConstants.IN_ONLYDIR)
                number = super().add_callback(path, mask, callback, id_)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    self.hit_limit = True
                    self._wake()
                raise
            if number == -1:
                self._refused.add(os.fsdecode(path))
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            with self._noting:
                self.live.add(number)
            return number

        def note_permission(self, folder: str) -> None:
            """Note that a folder which could not be watched may be read now."""
            if folder in self._refused and os.access(folder, os.R_OK | os.X_OK):
                self.reopened = True
                self._wake()

        def handle_event(self, event: InotifyEvent) -> None:
            """Note what watchdog does not pass on, and let it do its part."""
            if event.is_queue_overflow:
                self.overflowed = True
                self._wake()
            if event.mask & InotifyConstants.IN_UNMOUNT:
                self.unmounted = True
                self._wake()
            if event.is_ignored:
                with self._noting:
                    self.live.discard(event.wd)
            super().handle_event(event)
