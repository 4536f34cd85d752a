"""The files that this process has claimed in the database, so that no other process works on them meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection

from genrify_tagger.errors import StoreError
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.process_identity import this_process
from genrify_tagger.store import BEAT_SECONDS, Store

log = logging.getLogger(__name__)

_RELEASE_SECONDS = 0.5  # claims are given up together: each transaction costs more than a claim


class FileClaims:
    """Claims on files, kept by a thread that gives signs of life, whatever blocks others; safe for several threads.

    Parameters
    ----------
    store : Store
        The open database.
    """

    def __init__(self, store: Store) -> None:
        self.owner = this_process()
        self._store = store
        self._changed = threading.Condition()
        self._in_database = threading.Lock()  # or a file that is claimed again could be given up
        self._held: set[str] = set()
        self._done: set[str] = set()
        self._last_beat = 0.0
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def holds(self, target: str) -> bool:
        """Whether this process has claimed a file and is not done with it."""
        return target in self._held

    def take(self, targets: Collection[str]) -> set[str]:
        """Claim files and return those that no other process has claimed.

        Parameters
        ----------
        targets : collection of str
            Real paths.
        """
        if not targets:
            return set()
        with self._in_database:
            began = time.monotonic()
            granted = self._store.claim_files(self.owner, targets)
            reconcile(self._store)  # or a write that its process was killed in stays unfinished until the next start
            with self._changed:
                self._last_beat = max(began, self._last_beat)
                self._held |= granted
                self._done -= granted
                self._changed.notify_all()
            if not self._threads:
                self._threads = [
                    threading.Thread(target=work, name="genrify-claims", daemon=True)
                    for work in (self._give_signs_of_life, self._give_up_done)
                ]
                for thread in self._threads:
                    thread.start()
        return granted

    def release(self, target: str) -> None:
        """Give up the claim on a file, soon; nothing happens if there is none."""
        with self._changed:
            if target in self._held:
                self._held.discard(target)
                self._done.add(target)
                self._changed.notify_all()

    def close(self) -> None:
        """Give up all claims."""
        if not self._threads:
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        try:
            self._store.forget_process(self.owner)
        except StoreError as error:  # the claims end by themselves
            log.debug("the claims on files could not be given up: %s", error)

    def _give_signs_of_life(self) -> None:
        while self._wait_for(lambda: bool(self._held)):
            if not self._closing.wait(max(0.0, self._last_beat + BEAT_SECONDS - time.monotonic())):
                began = time.monotonic()
                self._try(lambda: self._store.beat(self.owner))
                self._last_beat = began

    def _give_up_done(self) -> None:
        while self._wait_for(lambda: bool(self._done)):
            if not self._closing.wait(_RELEASE_SECONDS):
                self._try(self._release_done)

    def _release_done(self) -> None:
        with self._in_database:
            with self._changed:
                done = set(self._done)
            self._store.release_files(self.owner, done)
            with self._changed:
                self._done -= done

    def _wait_for(self, anything: Callable[[], bool]) -> bool:
        """Wait until there is anything to do; return False at the end instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing.is_set() or anything())
        return not self._closing.is_set()

    def _try(self, action: Callable[[], None]) -> None:
        try:
            action()
        except StoreError as error:  # such as a server that is away: the next write of a genre reports it
            log.debug("the claims on files could not be kept: %s", error)
