"""The main loop of the service: events and rescans feed the debouncer, settled files go to the file pool."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from genrify_tagger.files import display_path, real_path
from genrify_tagger.library import Candidate, UnreadablePath
from genrify_tagger.pipeline import Result, ScanOptions, Session, TagWriter
from genrify_tagger.pipeline.changed_files import find_changed, task_for
from genrify_tagger.pipeline.file_pool import FilePool
from genrify_tagger.pipeline.file_task import FileTask
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.song_groups import album_folder
from genrify_tagger.watch.clock import has_slept, read_clocks
from genrify_tagger.watch.debouncer import Debouncer, SettledFile
from genrify_tagger.watch.events import WRITING, Event, EventQueue
from genrify_tagger.watch.roots import BUSY_SHARE, Root, distinct, out_of_reach, outermost
from genrify_tagger.watch.run_batches import RunBatches
from genrify_tagger.watch.service_state import LOST, NATIVE
from genrify_tagger.watch.settled_albums import SettledAlbums
from genrify_tagger.watch.signals import ControlFlags

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
LOST_CHECK_SECONDS = 2.0  # between two checks while a root is unavailable
FOLDER_SECONDS = 2.0  # during which events of folders are collected: they come in bursts
RETRY_SECONDS = 1.0  # extra delay of a file that changes while it is being processed
QUEUE_LIMIT = 2000  # waiting files beyond which a rescan pauses
FOLDER_LIMIT = 10_000
OPTIONS = ScanOptions()


@dataclass
class _Rescan:
    """A comparison of some folders with the store, done in batches between other work."""

    root: Root | None
    steps: Iterator[Candidate | UnreadablePath | None]
    is_full: bool
    clocks_agree: bool
    seconds: float = 0.0


@dataclass
class Loop:
    """Everything the service does from its start to its end, or until its settings are reloaded.

    Parameters
    ----------
    session : Session
    paths : list of str
        The roots.
    flags : ControlFlags
        Set by signal handlers.
    batches : RunBatches
        Group results into runs.
    expected : set of str
        Mount points seen at least once.
    tick : callable
        Called in every iteration to publish the state; returns the maximum seconds until the next call.
    """

    session: Session
    paths: list[str]
    flags: ControlFlags
    batches: RunBatches
    expected: set[str]
    tick: Callable[[Loop], float]
    _rescans: deque[_Rescan] = field(default_factory=deque)
    _changed_folders: dict[str, float] = field(default_factory=dict)
    _active: dict[str, SettledFile] = field(default_factory=dict)
    _next_check: float = 0.0
    _open_folder: str | None = None  # the album's folder in which the current rescan is

    def __post_init__(self) -> None:
        self.queue = EventQueue(self.flags.wake.set)
        self.debouncer = Debouncer(self.session.settings.watch.settle_seconds)
        self.settled = SettledAlbums(self.debouncer, by_album=self.session.settings.tagging.scope == "album")
        self.roots = [Root(path, self.session, self.queue, self.expected) for path in distinct(outermost(self.paths))]
        self._clocks = read_clocks()
        self._next_rescan = self._next_rescan_time()

    @property
    def queue_length(self) -> int:
        """How many files wait or are being processed."""
        return self._waiting + len(self._active) + len(self.queue)

    @property
    def _waiting(self) -> int:
        return len(self.debouncer) + len(self.settled)

    @property
    def phase(self) -> str:
        """What it is doing: "scanning", "processing" or "idle"."""
        return "scanning" if any(r.is_full for r in self._rescans) else "processing" if self.queue_length else "idle"

    def run(self) -> Iterator[Result]:
        """Watch until asked to stop or to reload.

        Yields
        ------
        Result
            One for each processed file.

        Raises
        ------
        StoreError
            If the database cannot be used.
        """
        try:
            writer = TagWriter(self.batches.run, origin="watch", settled=True)
            with FilePool(self.session, writer, OPTIONS, self.flags.wake.set) as pool:
                self.pool = pool
                for root in self.roots:
                    root.probe()
                for root in self.roots:
                    root.start()
                self._rescan_everything()
                while not self.flags.leave:
                    self._read_events()
                    self._check_roots()
                    self._continue_rescan()
                    self._start_files()
                    yield from self._collect_results()
                    self._end_batch()
                    longest = self.tick(self)
                    self.flags.wake.wait(min(self._pause(), longest))
            yield from self._collect_results()
        finally:
            for root in self.roots:
                root.stop()
            self.batches.end("interrupted" if self._active else "done")

    # --- events ---

    def _read_events(self) -> None:
        for event in self.queue.fetch():
            self._handle_event(event)
        if (self.queue.overflowed or self.debouncer.overflowed) and len(self.debouncer) < QUEUE_LIMIT:
            log.info("too many events at once; rescanning everything")
            self.queue.overflowed = self.debouncer.overflowed = False
            self._rescan_everything()

    def _handle_event(self, event: Event) -> None:
        match event.kind:
            case "moved":
                self.debouncer.moved(event.came_from or event.path, event.path)
            case "folder":
                if len(self._changed_folders) < FOLDER_LIMIT:
                    self._changed_folders.setdefault(event.path, time.monotonic() + FOLDER_SECONDS)
                else:
                    self.debouncer.overflowed = True
            case kind:
                self.debouncer.touch(event.path, writer=kind == WRITING)

    # --- rescans ---

    def _rescan_everything(self) -> None:
        """Start a rescan of every root, replacing those in progress."""
        reconcile(self.session.store)
        self.session.follow_vocabulary()
        self._next_rescan = self._next_rescan_time()
        self._rescans.clear()
        for root in self.roots:
            self._rescan_root(root)

    def _rescan_root(self, root: Root) -> None:
        root.needs_rescan = False
        if root.watching != LOST:
            self._rescans.append(self._new_rescan(root, [root.path], is_full=True))

    def _new_rescan(self, root: Root | None, paths: list[str], *, is_full: bool = False) -> _Rescan:
        clocks_agree = root is None or root.watching == NATIVE
        return _Rescan(root, find_changed(self.session, paths, OPTIONS, away=self._away), is_full, clocks_agree)

    def _check_roots(self) -> None:
        now = time.monotonic()
        if now < self._next_check and not any(root.needs_check for root in self.roots):
            return
        for root in self.roots:
            root.probe()
        for root in self.roots:
            root.check()
            if root.needs_rescan:
                self._rescans = deque(rescan for rescan in self._rescans if rescan.root is not root)
                self._rescan_root(root)
            elif root.poll_due() == 0 and not any(rescan.root is root for rescan in self._rescans):
                self._rescans.append(self._new_rescan(root, root.polled_paths))
        is_lost = any(root.watching == LOST for root in self.roots)
        polls = [due for root in self.roots if (due := root.poll_due())]
        self._next_check = now + min(LOST_CHECK_SECONDS if is_lost else CHECK_SECONDS, *polls, CHECK_SECONDS)
        if has_slept(self._clocks, clocks := read_clocks()):
            log.info("the machine was suspended; rescanning everything")
            self._rescan_everything()
        elif clocks.total > self._next_rescan:
            self._rescan_everything()
        self._clocks = clocks

    def _continue_rescan(self) -> None:
        """Do one batch of the current rescan, unless enough files are waiting already."""
        self._rescan_folders()
        if not self._rescans or self._waiting > QUEUE_LIMIT:
            return
        rescan = self._rescans[0]
        began = time.monotonic()
        for step in rescan.steps:
            if step is None:
                break
            if isinstance(step, Candidate):
                self.debouncer.found(step.path, step.stat, clocks_agree=rescan.clocks_agree)
                self._open_folder = album_folder(step.path)
            elif rescan.is_full:
                log.warning("%s: %s", display_path(step.path), step.error)
        else:
            self._rescans.popleft()
            self._open_folder = None
            self._finish_rescan(rescan)
        rescan.seconds += time.monotonic() - began

    def _finish_rescan(self, rescan: _Rescan) -> None:
        if rescan.root is None:
            return
        if rescan.is_full:
            rescan.root.verify()
        rescan.root.schedule_poll(rescan.seconds * BUSY_SHARE)

    def _rescan_folders(self) -> None:
        """Rescan the folders that events named, and mark the files of vanished ones as missing."""
        now = time.monotonic()
        if not self._changed_folders or min(self._changed_folders.values()) > now:
            return
        folders, self._changed_folders = outermost(self._changed_folders), {}
        there = [folder for folder in folders if os.path.isdir(folder)]
        for _ in self.session.moves.mark_gone(map(real_path, set(folders) - set(there)), away=self._away):
            self.tick(self)
        if there:
            self._rescans.appendleft(self._new_rescan(None, there))

    def _away(self) -> list[str]:
        return out_of_reach(self.roots, self.expected)

    # --- files ---

    def _start_files(self) -> None:
        """Hand settled files to the pool, as many as it has room for."""
        if not self.pool.has_room:
            return
        gone: list[str] = []
        for files in self.settled.due(self._open_folder if self._rescans else None):
            tasks = [task for settled in files if (task := self._task(settled, gone)) is not None]
            if tasks:
                self.batches.run()
                self.pool.begin(tasks)
            if not self.pool.has_room or len(gone) >= 500:
                break
        for _ in self.session.moves.mark_gone(gone, away=self._away):
            self.tick(self)

    def _task(self, settled: SettledFile, gone: list[str]) -> FileTask | None:
        """Return a settled file as a task; None if there is nothing to do, or not now. Adds it to `gone` if it is."""
        target, claims = real_path(settled.path), self.session.claims
        if self.pool.holds(settled.path) or not claims.take([target]):
            self.debouncer.touch(settled.path, came_from=settled.came_from, pause=RETRY_SECONDS)
            return None
        task = None
        try:
            task = task_for(self.session, settled.path, OPTIONS, came_from=settled.came_from, found_at=settled.since)
        except (FileNotFoundError, NotADirectoryError):
            gone.append(target)
        except OSError as error:
            log.warning("%s: %s", display_path(settled.path), error.strerror or error)
        if task is None:
            claims.release(target)
        else:
            self._active[settled.path] = settled
        return task

    def _collect_results(self) -> Iterator[Result]:
        for result in (outcome.result for outcome in self.pool.finished()):
            settled = self._active.pop(result.path, None)
            self.batches.add(result)
            if settled is not None and result.passing and self.debouncer.retry(settled):
                log.debug("%s: %s; trying again later", display_path(result.path), result.error)
            else:
                yield result
        while self.pool.undecided:
            self.debouncer.touch(self.pool.undecided.popleft())

    def _end_batch(self) -> None:
        if self.batches.seconds_left() == 0 and not self._active:
            self.batches.end()

    # --- time ---

    def _pause(self) -> float:
        """Return the seconds until there is something to do."""
        if len(self.queue) or (self._rescans and self._waiting <= QUEUE_LIMIT):
            return 0.0
        now = time.monotonic()
        due = self.settled.next_due() if self.pool.has_room else None
        folders = min(self._changed_folders.values()) - now if self._changed_folders else None
        batch = self.batches.seconds_left() if not self._active else None
        waits = [self._next_check - now, due, folders, batch]
        return max(min(wait for wait in waits if wait is not None), 0.0)

    def _next_rescan_time(self) -> float:
        hours = self.session.settings.watch.rescan_hours
        return read_clocks().total + hours * 3600 * random.uniform(0.9, 1.1) if hours else float("inf")
