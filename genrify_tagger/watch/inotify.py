"""inotify through watchdog, with what watchdog hides: lost events, the watch limit, unmounts, refused folders.

On Linux watchdog 7.1 rebuilds its watches after an overflow of the kernel's queue without telling its handlers, goes
on with fewer watches than folders when the limit is reached, and drops the event that a file system was unmounted. Its
`InotifyFD`, which reads the kernel's queue, may be passed in: `InotifyReader` records these events there.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from watchdog.observers.api import BaseObserver
from watchdog.observers.inotify import InotifyEmitter
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

# A watch that is being stopped may log that it is inactive: not an error.
logging.getLogger("watchdog.observers.inotify").addFilter(lambda record: "is inactive" not in record.getMessage())


class InotifyObserver(BaseObserver):
    """watchdog's `InotifyObserver` with an `InotifyReader`."""

    def __init__(self, inotify: InotifyReader) -> None:
        self._reader = inotify
        inotify.start()
        super().__init__(InotifyEmitter, inotify_fd=inotify)

    def on_thread_stop(self) -> None:
        """Stop the reader as well."""
        super().on_thread_stop()
        self._reader.stop()
        with contextlib.suppress(RuntimeError):
            self._reader.join(5)


class InotifyReader(InotifyFD):
    """The kernel's event queue of one watched folder."""

    def __init__(self, enters: Callable[[bytes], bool], wake: Callable[[], None]) -> None:
        super().__init__()
        self._enters = enters
        self._wake = wake
        self.live: set[WatchDescriptor] = set()
        self._lock = threading.Lock()
        self._forbidden: set[str] = set()
        self.hit_limit = self.overflowed = self.unmounted = self.reopened = False

    def add_callback(self, path: bytes, mask: Mask, callback: Any, id_: Any) -> WatchDescriptor:
        """Watch one folder, unless it is excluded."""
        if not self._enters(path):
            raise FileNotFoundError(errno.ENOENT, "not part of the library")  # watchdog goes on with the next
        try:
            # A change of permissions is a reason to retry a file that could not be read.
            mask = Mask(mask | InotifyConstants.IN_ATTRIB | InotifyConstants.IN_ONLYDIR)
            number = super().add_callback(path, mask, callback, id_)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self.hit_limit = True
                self._wake()
            raise
        if number == -1:
            self._forbidden.add(os.fsdecode(path))
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with self._lock:
            self.live.add(number)
        return number

    def record_permission(self, folder: str) -> None:
        """Record that a folder which could not be watched has become readable."""
        if folder in self._forbidden and os.access(folder, os.R_OK | os.X_OK):
            self.reopened = True
            self._wake()

    def handle_event(self, event: InotifyEvent) -> None:
        """Record what watchdog does not pass on, then let it handle the event."""
        if event.is_queue_overflow:
            self.overflowed = True
            self._wake()
        if event.mask & InotifyConstants.IN_UNMOUNT:
            self.unmounted = True
            self._wake()
        if event.is_ignored:
            with self._lock:
                self.live.discard(event.wd)
        super().handle_event(event)
