"""Watched folders and how each is watched: by system events, by polling, or not at all while it is unavailable.

A root is *native* where the system reports changes; *polling* on network file systems, where the settings say so and
where the system's limit is reached; *lost* while it does not exist, is not mounted or does not respond. Files of a
lost root never count as deleted.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import time
from collections.abc import Iterable, Sequence

from genrify_tagger.files import display_path, is_inside
from genrify_tagger.mounts import configured_mounts, network_folders, related_mounts, unmounted
from genrify_tagger.pipeline import Session
from genrify_tagger.pipeline.changed_files import PathFilter
from genrify_tagger.watch.count_folders import Place, count_folders
from genrify_tagger.watch.events import EventQueue, Watch
from genrify_tagger.watch.folder_probe import FolderProbe, FolderState
from genrify_tagger.watch.service_state import LOST, NATIVE, POLLING

log = logging.getLogger(__name__)

BUSY_SHARE = 20  # polling may take at most 1/BUSY_SHARE of the time


class Root:
    """One watched folder.

    Parameters
    ----------
    path : str
        The path under which the user knows it.
    session : Session
    queue : EventQueue
        Receives the events.
    expected : set of str
        Mount points seen at least once; shared between roots, which add to it.

    Attributes
    ----------
    real : str
        Its real path, as last seen.
    watching : str
        "native", "polling" or "lost".
    reason : str or None
        Why it is not native.
    polled : list of str
        Folders to rescan at intervals: the root itself, or network file systems below it.
    needs_rescan : bool
        Whether changes may have been missed.
    """

    def __init__(self, path: str, session: Session, queue: EventQueue, expected: set[str]) -> None:
        self.path = self.real = path
        self.watching = LOST
        self.reason: str | None = None
        self.polled: list[str] = []
        self.needs_rescan = True
        self._next_poll = 0.0
        self._session = session
        self._settings = session.settings.watch
        self._filter = PathFilter(session.settings.library)
        self._queue = queue
        self._expected = expected
        self._probe = FolderProbe(path)
        self._seen: object = None
        self._native: list[Watch] = []
        self._folder_count = 0
        self._last_warning: str | None = None

    @property
    def folders(self) -> int:
        """How many folders the system watches."""
        return sum(watch.folders or 0 for watch in self._native)

    @property
    def polled_paths(self) -> list[str]:
        """The folders in `polled` by the paths under which the user knows them."""
        return [self.path + folder[len(self.real) :] for folder in self.polled]

    def start(self, state: FolderState | None = None) -> None:
        """Start watching the folder as it is now."""
        state = state or self._probe.result()
        self.stop()
        self._seen = self._signature(state)
        problem = self._problem(state)
        if state is None or problem is not None:
            self._mark_lost(problem or "the file server does not respond")
            return
        if self.watching == LOST and self.reason is not None:
            log.info("%s is back", display_path(self.path))
        self.real = state.real
        self._session.moves.remember_mounts([self.real])
        self._expected |= {*related_mounts(self.real), *configured_mounts(self.real)}
        self.polled = self._folders_to_poll()
        self.schedule_poll(self._settings.poll_seconds)
        if self.real in self.polled:
            self.watching, self.reason = POLLING, "as set" if self._settings.polling == "always" else "network"
        else:
            self._watch_natively()

    @property
    def needs_check(self) -> bool:
        """Whether something happened that `check` should handle at once."""
        return any(watch.needs_check for watch in self._native)

    def probe(self) -> None:
        """Start inspecting the folder; `check` waits for the result. All roots are probed before any is waited for."""
        self._probe.start()

    def check(self) -> None:
        """Detect whether the folder came, went or was replaced; sets `needs_rescan` if changes may have been missed."""
        state = self._probe.result()
        came_back = self.watching == LOST and state is not None and self._problem(state) is None
        if came_back or self._signature(state) != self._seen or self._is_broken():
            self.start(state)
            self.needs_rescan = True
        elif sum(watch.lost_events() for watch in self._native):
            advice = "raise the sysctl fs.inotify.max_queued_events"
            log.warning("%s: events were lost; rescanning it (%s)", display_path(self.path), advice)
            self.needs_rescan = True

    def is_away(self) -> bool:
        """Whether its files are unavailable now."""
        return self.watching == LOST or self._signature(self._probe.result()) != self._seen

    def verify(self) -> None:
        """Compare the number of watched folders with the number that exist, and restart or poll if they differ."""
        was_polling = self.watching == POLLING
        if was_polling and self.real not in self._folders_to_poll():
            self.start()  # the limit may have been raised
        self._compare_folder_counts()
        if was_polling and self.watching == POLLING:
            self.needs_rescan = False  # nothing was missed: it has just been rescanned

    def _compare_folder_counts(self) -> None:
        if self.watching != NATIVE or not self._native or self._native[0].folders is None:
            return
        if self._count() != self.folders:
            self.start()
            self.needs_rescan = True
        if self.watching == NATIVE and self.folders < self._count():
            self._fall_back(f"the system watches only {self.folders} of {self._folder_count} folders")
        elif self.watching == NATIVE:
            self._last_warning = None

    def schedule_poll(self, seconds: float) -> None:
        """Schedule the next poll, `poll_seconds` from now or later."""
        self._next_poll = time.monotonic() + max(seconds, self._settings.poll_seconds)

    def poll_due(self) -> float | None:
        """Return the seconds until the next poll; None if the root is not polled."""
        return max(self._next_poll - time.monotonic(), 0.0) if self.polled else None

    def stop(self) -> None:
        """Stop watching."""
        watches, self._native, self.polled = self._native, [], []
        for watch in watches:
            watch.stop()

    def as_json(self) -> dict[str, object]:
        """Return the root as part of the service's state."""
        path = os.fsencode(self.path).decode("utf-8", "replace")
        return {"path": path, "watching": self.watching, "folders": self.folders, "reason": self.reason}

    def _watch_natively(self) -> None:
        also = f"polling {', '.join(map(display_path, self.polled))}" if self.polled else None
        self.watching, self.reason = NATIVE, also
        self._folder_count, links = count_folders((self.real, self.path), self._filter.enters)
        try:
            for place in [(self.real, self.path), *links]:
                self._native.append(self._watch(place))
        except OSError as error:
            self._fall_back(_describe_limit(error))
            return
        if any(watch.hit_limit for watch in self._native):
            self._fall_back(_describe_limit(OSError(errno.ENOSPC, "")))

    def _watch(self, place: Place) -> Watch:
        return Watch(*place, wants=self._filter.wants, enters=self._filter.enters, queue=self._queue)

    def _signature(self, state: FolderState | None) -> object:
        return None if state is None else (state.identity, related_mounts(state.real))

    def _problem(self, state: FolderState | None) -> str | None:
        """Return why the folder cannot be watched; None if it can."""
        if state is None:
            return "the file server does not respond"
        if state.problem is not None or state.empty:
            missing = unmounted({*self._expected, *configured_mounts(state.real)})
            point = next((p for p in missing if is_inside(state.real, [p])), None)
            if point is not None:
                return f"{display_path(point)} is not mounted"
        if state.empty and self._session.store.number_under(state.real):
            forget = f"genrify-tag db prune {shlex.quote(display_path(self.path))}"
            return f"the folder is empty, but the database lists songs in it; mount it, or if you emptied it: {forget}"
        return state.problem

    def _mark_lost(self, problem: str) -> None:
        if (self.watching, self.reason) != (LOST, problem):
            log.warning("%s is not watched: %s", display_path(self.path), problem)
        self.watching, self.reason = LOST, problem

    def _folders_to_poll(self) -> list[str]:
        if self._settings.polling == "always":
            return [self.real]
        return network_folders(self.real) if self._settings.polling == "auto" else []

    def _fall_back(self, reason: str) -> None:
        seconds = self._settings.poll_seconds
        if self._last_warning != reason:
            log.warning("%s: %s; polling it every %g s", display_path(self.path), reason, seconds)
            self._last_warning = reason
        self.stop()
        self.watching, self.reason, self.polled, self.needs_rescan = POLLING, reason, [self.real], True
        self.schedule_poll(seconds)

    def _is_broken(self) -> bool:
        return any(watch.unmounted or watch.hit_limit or watch.reopened or not watch.is_alive for watch in self._native)

    def _count(self) -> int:
        self._folder_count, _ = count_folders((self.real, self.path), self._filter.enters)
        return self._folder_count


def outermost(paths: Iterable[str]) -> list[str]:
    """Return the absolute paths, without those inside another."""
    tidy = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    return [path for path in tidy if not is_inside(path, [other for other in tidy if other != path])]


def distinct(folders: Iterable[str]) -> list[str]:
    """Return the folders without those that are another one under a second name, by a link or a mount."""
    found: list[str] = []
    for folder in folders:
        first = next((other for other in found if _is_same(folder, other)), None)
        if first is None:
            found.append(folder)
        else:
            log.info("%s is the same folder as %s", display_path(folder), display_path(first))
    return found


def _is_same(folder: str, other: str) -> bool:
    try:
        return os.path.samefile(folder, other)
    except OSError:
        return False


def out_of_reach(roots: Sequence[Root], expected: Iterable[str]) -> list[str]:
    """Return the real folders whose files are unavailable now, but not known to be deleted."""
    return [*(root.real for root in roots if root.is_away()), *unmounted(expected)]


def _describe_limit(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "more folders than the system can watch (raise the sysctl fs.inotify.max_user_watches)"
    if error.errno == errno.EMFILE:
        return "too many watchers on this system (raise the sysctl fs.inotify.max_user_instances)"
    return f"the system cannot watch it ({error.strerror or error})"
