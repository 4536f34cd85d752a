"""The files that this process has claimed in the database, so that no other process works on them meanwhile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection

from genrify_tagger.errors import StoreError
from genrify_tagger.process_identity import this_process
from genrify_tagger.store import BEAT_SECONDS, Store

log = logging.getLogger(__name__)

_RELEASE_SECONDS = 0.5  # claims are given up together: each transaction costs more than a claim


class FileClaims:
    """Claims on files, kept by a thread that gives signs of life; safe for several threads.

    Parameters
    ----------
    store : Store
        The open database.
    """

    def __init__(self, store: Store) -> None:
        self.owner = this_process()
        self._store = store
        self._changed = threading.Condition()
        self._held: set[str] = set()
        self._done: set[str] = set()
        self._last_beat = 0.0
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None

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
        with self._changed:
            granted = self._store.claim_files(self.owner, targets)
            self._last_beat = time.monotonic()
            self._held |= granted
            self._done -= granted
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="genrify-claims", daemon=True)
                self._keeper.start()
            self._changed.notify_all()
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
        if self._keeper is None:
            return
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        self._keeper.join()
        try:
            self._store.forget_process(self.owner)
        except StoreError as error:  # the claims end by themselves
            log.debug("the claims on files could not be given up: %s", error)

    def _keep(self) -> None:
        """Give signs of life while there are claims, and give up those of files that are done."""
        while not self._closing.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._closing.is_set() or self._held or self._done)
            if not self._closing.wait(_RELEASE_SECONDS):
                try:
                    self._keep_once()
                except StoreError as error:  # such as a server that is away: the next write of a genre reports it
                    log.debug("the claims on files could not be kept: %s", error)

    def _keep_once(self) -> None:
        with self._changed:
            done = set(self._done)
            if done:
                self._store.release_files(self.owner, done)
                self._done -= done
            if self._held and time.monotonic() - self._last_beat > BEAT_SECONDS:
                self._store.beat(self.owner)
                self._last_beat = time.monotonic()
