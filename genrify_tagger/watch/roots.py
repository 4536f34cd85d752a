"""The folders that are watched, and how: told by the system, by looking at intervals, or not at all while one is away.

A root is *native* where the system tells of changes; *polling* on network file systems, where the settings say so and
where the system's limit is reached; *lost* while it does not exist, is not mounted or does not answer. What is lost is
never taken for deleted.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import time
from collections.abc import Iterable, Sequence

from genrify_tagger.files import display_path
from genrify_tagger.pipeline import PathFilter, Session, is_inside
from genrify_tagger.watch.count_folders import Place, Probe, Sight, count_folders
from genrify_tagger.watch.events import EventQueue, Watch
from genrify_tagger.watch.mounts import fixed_mounts, mount_points, network_folders, unmounted
from genrify_tagger.watch.service_state import LOST, NATIVE, POLLING

log = logging.getLogger(__name__)

BUSY_SHARE = 20  # looking may take one part in so many of the time


class Root:
    """One watched folder.

    Parameters
    ----------
    path : str
        As the user knows it.
    session : Session
        The open run's resources.
    queue : Inbox
        Where news go.
    expected : set of str
        Mount points that were seen once; shared, and added to.

    Attributes
    ----------
    real : str
        Its real path, as last seen.
    watching : str
        "native", "polling" or "lost".
    reason : str or None
        Why it is not native.
    polled : list of str
        Folders to be looked at at intervals: the root itself, or network file systems below it.
    needs_look : bool
        Whether something may have been missed.
    """

    def __init__(self, path: str, session: Session, queue: EventQueue, expected: set[str]) -> None:
        self.path = self.real = path
        self.watching = LOST
        self.reason: str | None = None
        self.polled: list[str] = []
        self.needs_look = True
        self._next_poll = 0.0
        self._session = session
        self._settings = session.settings.watch
        self._interest = PathFilter(session.settings.library)
        self._queue = queue
        self._expected = expected
        self._probe = Probe(path)
        self._seen: object = None
        self._native: list[Watch] = []
        self._there = 0
        self._told: str | None = None

    @property
    def folders(self) -> int:
        """How many folders the system watches."""
        return sum(watch.folders or 0 for watch in self._native)

    @property
    def polled_paths(self) -> list[str]:
        """The folders in `polled` by the paths that the user knows."""
        return [self.path + folder[len(self.real) :] for folder in self.polled]

    def arm(self, sight: Sight | None = None) -> None:
        """Begin to watch it, as it is now."""
        sight = sight or self._probe.look()
        self.stop()
        self._seen = self._state(sight)
        problem = self._problem(sight)
        if sight is None or problem is not None:
            self._lose(problem or "the file server does not answer")
            return
        if self.watching == LOST and self.reason is not None:
            log.info("%s is back", display_path(self.path))
        self.real = sight.real
        self._expected |= {*mount_points(self.real), *fixed_mounts(self.real)}
        self.polled = self._to_be_polled()
        self.polls_next(self._settings.poll_seconds)
        if self.real in self.polled:
            self.watching, self.reason = POLLING, "as set" if self._settings.polling == "always" else "network"
        else:
            self._arm_natively()

    @property
    def is_alarmed(self) -> bool:
        """Whether the system has told of something that `check` had better see to at once."""
        return any(watch.is_alarmed for watch in self._native)

    def ask(self) -> None:
        """Ask what is there, for `check` to hear the answer: all roots are asked before any is waited for."""
        self._probe.ask()

    def check(self) -> None:
        """See whether it came, went or changed; `needs_look` says whether that may have hidden something."""
        sight = self._probe.look()
        came_back = self.watching == LOST and sight is not None and self._problem(sight) is None
        if came_back or self._state(sight) != self._seen or self._is_broken():
            self.arm(sight)
            self.needs_look = True
        elif sum(watch.lost_events() for watch in self._native):
            advice = "the sysctl fs.inotify.max_queued_events can be raised"
            log.warning("events of %s were lost; looking through it (%s)", display_path(self.path), advice)
            self.needs_look = True

    def is_away(self) -> bool:
        """Whether its files are out of reach at this moment."""
        return self.watching == LOST or self._state(self._probe.look()) != self._seen

    def verify(self) -> None:
        """Compare what the system watches with the folders that there are, and do something about a difference."""
        was_polling = self.watching == POLLING
        if was_polling and self.real not in self._to_be_polled():
            self.arm()  # the limit may have been raised meanwhile
        self._match_the_folders()
        if was_polling and self.watching == POLLING:
            self.needs_look = False  # nothing was missed: it has just been looked through, and that goes on

    def _match_the_folders(self) -> None:
        if self.watching != NATIVE or not self._native or self._native[0].folders is None:
            return
        if self._count() != self.folders:
            self.arm()
            self.needs_look = True
        if self.watching == NATIVE and self.folders < self._count():
            self._fall_back(f"the system watches only {self.folders} of {self._there} folders")
        elif self.watching == NATIVE:
            self._told = None

    def polls_next(self, seconds: float) -> None:
        """Say how long the next round of looking has time."""
        self._next_poll = time.monotonic() + max(seconds, self._settings.poll_seconds)

    def poll_due(self) -> float | None:
        """Return in how many seconds a round of looking is due; None if none is needed."""
        return max(self._next_poll - time.monotonic(), 0.0) if self.polled else None

    def stop(self) -> None:
        """End watching."""
        watches, self._native, self.polled = self._native, [], []
        for watch in watches:
            watch.stop()

    def as_json(self) -> dict[str, object]:
        """Return what the service's state says of it."""
        path = os.fsencode(self.path).decode("utf-8", "replace")
        return {"path": path, "watching": self.watching, "folders": self.folders, "reason": self.reason}

    def _arm_natively(self) -> None:
        also = f"{', '.join(map(display_path, self.polled))} is looked through" if self.polled else None
        self.watching, self.reason = NATIVE, also
        self._there, links = count_folders((self.real, self.path), self._interest.enters)
        try:
            for place in [(self.real, self.path), *links]:
                self._native.append(self._watch(place))
        except OSError as error:
            self._fall_back(_limit_words(error))
            return
        if any(watch.hit_limit for watch in self._native):
            self._fall_back(_limit_words(OSError(errno.ENOSPC, "")))

    def _watch(self, place: Place) -> Watch:
        return Watch(*place, wants=self._interest.wants, enters=self._interest.enters, queue=self._queue)

    def _state(self, sight: Sight | None) -> object:
        return None if sight is None else (sight.identity, mount_points(sight.real))

    def _problem(self, sight: Sight | None) -> str | None:
        """Say why it cannot be watched; None if it can."""
        if sight is None:
            return "the file server does not answer"
        if sight.problem is not None or sight.empty:
            missing = unmounted({*self._expected, *fixed_mounts(sight.real)})
            point = next((p for p in missing if is_inside(sight.real, [p])), None)
            if point is not None:
                return f"{display_path(point)} is not mounted"
        if sight.empty and self._session.store.number_under(sight.real):
            forget = f"genrify-tag db prune {shlex.quote(display_path(self.path))}"
            return f"the folder is empty, though songs are known in it; mount it, or if it was emptied: {forget}"
        return sight.problem

    def _lose(self, problem: str) -> None:
        if (self.watching, self.reason) != (LOST, problem):
            log.warning("%s is not watched: %s", display_path(self.path), problem)
        self.watching, self.reason = LOST, problem

    def _to_be_polled(self) -> list[str]:
        if self._settings.polling == "always":
            return [self.real]
        return network_folders(self.real) if self._settings.polling == "auto" else []

    def _fall_back(self, reason: str) -> None:
        seconds = self._settings.poll_seconds
        if self._told != reason:
            log.warning("%s: %s; looking through it every %g s", display_path(self.path), reason, seconds)
            self._told = reason
        self.stop()
        self.watching, self.reason, self.polled, self.needs_look = POLLING, reason, [self.real], True
        self.polls_next(seconds)

    def _is_broken(self) -> bool:
        return any(watch.unmounted or watch.hit_limit or watch.reopened or not watch.is_alive for watch in self._native)

    def _count(self) -> int:
        self._there, _ = count_folders((self.real, self.path), self._interest.enters)
        return self._there


def outermost(paths: Iterable[str]) -> list[str]:
    """Return absolute paths without those that lie in another one."""
    tidy = list(dict.fromkeys(os.path.abspath(path) for path in paths))
    return [path for path in tidy if not is_inside(path, [other for other in tidy if other != path])]


def out_of_reach(roots: Sequence[Root], expected: Iterable[str]) -> list[str]:
    """Return the real folders whose files cannot be seen at this moment, though they may be there."""
    return [*(root.real for root in roots if root.is_away()), *unmounted(expected)]


def _limit_words(error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return "more folders than the system may watch (raise the sysctl fs.inotify.max_user_watches)"
    if error.errno == errno.EMFILE:
        return "too many watchers on this system (raise the sysctl fs.inotify.max_user_instances)"
    return f"the system cannot watch it ({error.strerror or error})"
