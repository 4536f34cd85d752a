"""The main loop: from news and looks, by way of the waiting room, to songs in hand and results."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from genrify_tagger.files import display_path
from genrify_tagger.pipeline import (
    Candidate,
    FilePool,
    Result,
    ScanOptions,
    Session,
    UnreadablePath,
    find_changed,
    mark_gone,
    reconcile,
)
from genrify_tagger.watch.clock import awake_and_asleep, has_slept
from genrify_tagger.watch.debouncer import Debouncer, SettledFile
from genrify_tagger.watch.events import WRITING, Event, EventQueue
from genrify_tagger.watch.roots import BUSY_SHARE, Root, out_of_reach, outermost
from genrify_tagger.watch.run_batches import RunBatches
from genrify_tagger.watch.service_state import LOST, NATIVE
from genrify_tagger.watch.signals import ControlFlags

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
LOST_SECONDS = 2.0  # between two checks while a root is away
FOLDER_SECONDS = 2.0  # news of folders come in heaps
BUSY_SECONDS = 1.0  # that a file which is in hand waits beyond the usual, lest it come up again at once
ROOM = 2000  # files that may wait before a look goes on
FOLDERS_LIMIT = 10_000
OPTIONS = ScanOptions(origin="watch", settled=True)


@dataclass
class _Look:
    """A look through some folders that is under way."""

    root: Root | None
    steps: Iterator[Candidate | UnreadablePath | None]
    full: bool
    clocks_agree: bool
    spent: float = 0.0


@dataclass
class Loop:
    """All that the service does between its start and its end, or the next reading of its settings.

    Parameters
    ----------
    session : Session
        The open run's resources.
    paths : list of str
        The roots.
    flags : Wishes
        Where it is told to stop.
    batches : Batches
        The runs.
    expected : set of str
        Mount points that were seen once.
    tick : callable
        Called in every round to tell others how things are; returns after how many seconds it wants to be called again.
    """

    session: Session
    paths: list[str]
    flags: ControlFlags
    batches: RunBatches
    expected: set[str]
    tick: Callable[[Loop], float]
    _looks: deque[_Look] = field(default_factory=deque)
    _folders: dict[str, float] = field(default_factory=dict)
    _in_hand: dict[str, SettledFile] = field(default_factory=dict)
    _next_check: float = 0.0

    def __post_init__(self) -> None:
        self.queue = EventQueue(self.flags.wake.set)
        self.settling = Debouncer(self.session.settings.watch.settle_seconds)
        self.roots = [Root(path, self.session, self.queue, self.expected) for path in outermost(self.paths)]
        self._clocks = awake_and_asleep()
        self._next_rescan = self._in_some_hours()

    @property
    def queue_length(self) -> int:
        """How many files wait or are in hand."""
        return len(self.settling) + len(self._in_hand) + len(self.queue)

    @property
    def phase(self) -> str:
        """What it is doing, in one word."""
        return (
            "looking"
            if any(under_way.full for under_way in self._looks)
            else "working"
            if self.queue_length
            else "idle"
        )

    def run(self) -> Iterator[Result]:
        """Watch until told to leave.

        Yields
        ------
        Result
            One for each file that was worked on.

        Raises
        ------
        StoreError
            If the database cannot be used.
        """
        try:
            with FilePool(self.session, OPTIONS, self.flags.wake.set) as pool:
                self.pool = pool
                for root in self.roots:
                    root.ask()
                for root in self.roots:
                    root.arm()
                self._look_everywhere()
                while not self.flags.leave:
                    self._hear()
                    self._mind_the_roots()
                    self._go_on_looking()
                    self._begin()
                    yield from self._gather()
                    self._end_batch()
                    longest = self.tick(self)
                    self.flags.wake.wait(min(self._pause(), longest))
            yield from self._gather()
        finally:
            for root in self.roots:
                root.stop()
            self.batches.end("interrupted" if self._in_hand else "done")

    # --- news ---

    def _hear(self) -> None:
        for news in self.queue.fetch():
            self._take(news)
        if (self.queue.overflowed or self.settling.overflowed) and len(self.settling) < ROOM:
            log.info("more happened at once than could be noted; looking through everything")
            self.queue.overflowed = self.settling.overflowed = False
            self._look_everywhere()

    def _take(self, news: Event) -> None:
        match news.kind:
            case "moved":
                self.settling.moved(news.came_from or news.path, news.path)
            case "folder":
                if len(self._folders) < FOLDERS_LIMIT:
                    self._folders.setdefault(news.path, time.monotonic() + FOLDER_SECONDS)
                else:
                    self.settling.overflowed = True
            case kind:
                self.settling.touch(news.path, writer=kind == WRITING)

    # --- looks ---

    def _look_everywhere(self) -> None:
        """Begin to look through all roots, in place of the looks that are under way."""
        reconcile(self.session.store)
        self._next_rescan = self._in_some_hours()
        self._looks.clear()
        for root in self.roots:
            self._look_through(root)

    def _look_through(self, root: Root) -> None:
        root.needs_look = False
        if root.watching != LOST:
            self._looks.append(self._look(root, [root.path], full=True))

    def _look(self, root: Root | None, paths: list[str], *, full: bool = False) -> _Look:
        clocks_agree = root is None or root.watching == NATIVE
        return _Look(root, find_changed(self.session, paths, OPTIONS, away=self._away), full, clocks_agree)

    def _mind_the_roots(self) -> None:
        now = time.monotonic()
        if now < self._next_check and not any(root.is_alarmed for root in self.roots):
            return
        for root in self.roots:
            root.ask()
        for root in self.roots:
            root.check()
            if root.needs_look:
                self._looks = deque(under_way for under_way in self._looks if under_way.root is not root)
                self._look_through(root)
            elif root.poll_due() == 0 and not any(under_way.root is root for under_way in self._looks):
                self._looks.append(self._look(root, root.polled_paths))
        is_lost = any(root.watching == LOST for root in self.roots)
        polls = [due for root in self.roots if (due := root.poll_due())]
        self._next_check = now + min(LOST_SECONDS if is_lost else CHECK_SECONDS, *polls, CHECK_SECONDS)
        if has_slept(self._clocks, clocks := awake_and_asleep()):
            log.info("this machine was asleep; looking through everything")
            self._look_everywhere()
        elif clocks.in_all > self._next_rescan:
            self._look_everywhere()
        self._clocks = clocks

    def _go_on_looking(self) -> None:
        """Go one batch on with the look that is under way, if there is room for what it may find."""
        self._look_into_folders()
        if not self._looks or len(self.settling) > ROOM:
            return
        under_way = self._looks[0]
        began = time.monotonic()
        for step in under_way.steps:
            if step is None:
                break
            if isinstance(step, Candidate):
                self.settling.found(step.path, step.stat, clocks_agree=under_way.clocks_agree)
            elif under_way.full:
                log.warning("%s: %s", display_path(step.path), step.error)
        else:
            self._looks.popleft()
            self._has_looked(under_way)
        under_way.spent += time.monotonic() - began

    def _has_looked(self, under_way: _Look) -> None:
        if under_way.root is None:
            return
        if under_way.full:
            under_way.root.verify()
        under_way.root.polls_next(under_way.spent * BUSY_SHARE)

    def _look_into_folders(self) -> None:
        """Turn news of folders into looks and marks; one that lies in another is seen to with that."""
        now = time.monotonic()
        if not self._folders or min(self._folders.values()) > now:
            return
        folders, self._folders = outermost(self._folders), {}
        there = [folder for folder in folders if os.path.isdir(folder)]
        for _ in mark_gone(self.session, map(os.path.realpath, set(folders) - set(there)), away=self._away):
            self.tick(self)
        if there:
            self._looks.appendleft(self._look(None, there))

    def _away(self) -> list[str]:
        return out_of_reach(self.roots, self.expected)

    # --- songs ---

    def _begin(self) -> None:
        """Begin with files that have settled, as many as there are hands."""
        if not self.pool.has_room:
            return
        gone = []
        for settled in self.settling.due():
            if self.pool.holds(settled.path):
                self.settling.touch(settled.path, came_from=settled.came_from, pause=BUSY_SECONDS)
                continue
            try:
                if self.pool.begin(self.batches.run, settled.path, came_from=settled.came_from):
                    self._in_hand[settled.path] = settled
            except (FileNotFoundError, NotADirectoryError):
                gone.append(os.path.realpath(settled.path))
            except OSError as error:
                log.warning("%s: %s", display_path(settled.path), error.strerror or error)
            if not self.pool.has_room or len(gone) >= 500:
                break
        for _ in mark_gone(self.session, gone, away=self._away):
            self.tick(self)

    def _gather(self) -> Iterator[Result]:
        for result in self.pool.finished():
            settled = self._in_hand.pop(result.path, None)
            self.batches.add(result)
            if settled is not None and result.passing and self.settling.again(settled):
                log.debug("%s: %s; trying again later", display_path(result.path), result.error)
            else:
                yield result

    def _end_batch(self) -> None:
        if self.batches.seconds_left() == 0 and not self._in_hand:
            self.batches.end()

    # --- time ---

    def _pause(self) -> float:
        """Return for how long there is nothing to do."""
        if self.queue_length or (self._looks and len(self.settling) <= ROOM):
            return 0.0
        now = time.monotonic()
        due = self.settling.next_due() if self.pool.has_room else None
        folders = min(self._folders.values()) - now if self._folders else None
        batch = self.batches.seconds_left() if not self._in_hand else None
        waits = [self._next_check - now, due, folders, batch]
        return max(min(wait for wait in waits if wait is not None), 0.0)

    def _in_some_hours(self) -> float:
        hours = self.session.settings.watch.rescan_hours
        return awake_and_asleep().in_all + hours * 3600 * random.uniform(0.9, 1.1) if hours else float("inf")
