"""Journals the genres that beets writes into files, before and after each write, whichever command writes."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from beets.util import displayable_path

from genrify_tagger.errors import GenrifyError

from . import flexattrs

if TYPE_CHECKING:
    from beets.library import Item
    from beets.logging import BeetsLogger

    from .lazy_session import LazySession

JOURNAL_THREADS = 2


@dataclass
class WriteJournal:
    """Handles beets' events `write` and `after_write`.

    A write is journalled if it writes a genre that the plugin set, or undoes one, even if the item was restored in the
    library long before.

    Attributes
    ----------
    lazy_session : LazySession
        Provides the session and the run.
    log : BeetsLogger
        For files that could not be journalled; beets writes them anyway.
    describe_error : callable
        Returns the message of an error of a file.
    """

    lazy_session: LazySession
    log: BeetsLogger
    describe_error: Callable[[GenrifyError | OSError, bytes], str]
    _keys: dict[int | None, str] = field(default_factory=dict)
    _undone_changes: dict[int | None, int | None] = field(default_factory=dict)
    _pending: dict[bytes, int] = field(default_factory=dict)
    _written: set[int | None] = field(default_factory=set)
    _pool: ThreadPoolExecutor | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remember_audio_key(self, item: Item, audio_key: str | None) -> None:
        """Keep the audio key of an item, so that it is not computed again before the write."""
        if audio_key is not None:
            with self._lock:
                self._keys[item.id] = audio_key

    @contextlib.contextmanager
    def as_undo(self, item: Item, change: int | None) -> Iterator[None]:
        """Journal writes of an item within the block as the undo of a change (None: of one that was not journalled)."""
        self._undone_changes[item.id] = change
        try:
            yield
        finally:
            del self._undone_changes[item.id]

    def before_write(self, item: Item, path: bytes, tags: dict[str, Any]) -> None:
        """Journal a write that sets or undoes the plugin's genre."""
        if path != item.path:
            return
        genres = list(tags.get("genres") or [])
        try:
            with self._deferred_undo(item, path, genres):
                is_journalled = item.id in self._undone_changes or genres == flexattrs.genres_given(item)
                change = self._begin_change(item, path, genres) if is_journalled else None
        except (GenrifyError, OSError) as error:
            self.log.warning("{}: not journalled: {}", displayable_path(path), self.describe_error(error, path))
            return
        if change is not None:
            with self._lock:
                self._pending[path] = change

    @contextlib.contextmanager
    def _deferred_undo(self, item: Item, path: bytes, genres: list[str]) -> Iterator[None]:
        """Journal the write as an undo if the item was restored in the library earlier, and its file is only now."""
        from genrify_tagger.pipeline.external_writes import change_reverted_by

        reverted = None
        if item.id not in self._undone_changes and flexattrs.was_undone(item):
            reverted = change_reverted_by(self.lazy_session.session(), os.fsdecode(path), genres)
        with self.as_undo(item, reverted.id) if reverted else contextlib.nullcontext():
            yield

    def _begin_change(self, item: Item, path: bytes, genres: list[str]) -> int | None:
        from genrify_tagger.pipeline.external_writes import announce_write

        return announce_write(
            self.lazy_session.session(),
            self.lazy_session.run,
            os.fsdecode(path),
            genres,
            origin="undo" if item.id in self._undone_changes else "beets",
            audio_key=self._keys.get(item.id),
            undoes=self._undone_changes.get(item.id),
        )

    def after_write(self, item: Item, path: bytes) -> None:
        """Verify a journalled write."""
        if path == item.path:
            self._written.add(item.id)
        self._finish_change(path)

    def has_written(self, item: Item) -> bool:
        """Return whether beets wrote an item's file since the last call."""
        written = item.id in self._written
        self._written.discard(item.id)
        return written

    def write(self, item: Item) -> bool:
        """Have beets write an item, and verify it; return whether it was written."""
        written = item.try_write()
        self._finish_change(item.path)  # if beets failed, there was no after_write
        return bool(written)

    def finish_pending(self) -> None:
        """Verify the writes that beets began and did not finish, and wait until all are journalled."""
        for path in [*self._pending]:
            self._finish_change(path)
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _finish_change(self, path: bytes) -> None:
        from genrify_tagger.pipeline.external_writes import confirm_write

        with self._lock:
            change = self._pending.pop(path, None)
        if change is None:
            return
        try:
            finish = confirm_write(self.lazy_session.session(), change)
        except GenrifyError as error:
            self.log.warning("{}: {}", displayable_path(path), self.describe_error(error, path))
            return
        with self._lock:  # so that beets need not wait for the audio key
            self._pool = self._pool or ThreadPoolExecutor(JOURNAL_THREADS, thread_name_prefix="genrify-journal")
            self._pool.submit(self._journal, finish, path)

    def _journal(self, finish: Callable[[], None], path: bytes) -> None:
        try:
            finish()
        except GenrifyError as error:
            self.log.warning("{}: {}", displayable_path(path), self.describe_error(error, path))
