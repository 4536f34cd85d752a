"""What beets writes for us is journalled before and looked at afterwards, whichever command makes it write."""

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

JOURNALLING = 2  # threads


@dataclass
class WriteJournal:
    """Listens to beets' events `write` and `after_write`.

    A write is of ours if it brings a genre that we gave the item and that nobody changed since, or takes it back, be it
    long after that was taken back in the library.

    Attributes
    ----------
    lazy : House
        For session and run.
    log : BeetsLogger
        For what could not be journalled; beets writes all the same.
    in_words : callable
        Says what went wrong with a file.
    """

    lazy: LazySession
    log: BeetsLogger
    in_words: Callable[[GenrifyError | OSError, bytes], str]
    _keys: dict[int | None, str] = field(default_factory=dict)
    _undoing: dict[int | None, int | None] = field(default_factory=dict)
    _pending: dict[bytes, int] = field(default_factory=dict)
    _written: set[int | None] = field(default_factory=set)
    _pool: ThreadPoolExecutor | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def know(self, item: Item, audio_key: str | None) -> None:
        """Remember the audio key of an item, which needs not be found out again before it is written."""
        if audio_key is not None:
            with self._lock:
                self._keys[item.id] = audio_key

    @contextlib.contextmanager
    def undoing(self, item: Item, change: int | None) -> Iterator[None]:
        """Let writes of an item count as taking a change back (None: one that was not journalled) in the block."""
        self._undoing[item.id] = change
        try:
            yield
        finally:
            del self._undoing[item.id]

    def before_write(self, item: Item, path: bytes, tags: dict[str, Any]) -> None:
        """Journal a write that is of ours."""
        if path != item.path:
            return
        genres = list(tags.get("genres") or [])
        try:
            with self._late(item, path, genres):
                is_ours = item.id in self._undoing or genres == flexattrs.claimed(item)
                change = self._announce(item, path, genres) if is_ours else None
        except (GenrifyError, OSError) as error:
            self.log.warning("{}: not journalled: {}", displayable_path(path), self.in_words(error, path))
            return
        if change is not None:
            with self._lock:
                self._pending[path] = change

    @contextlib.contextmanager
    def _late(self, item: Item, path: bytes, genres: list[str]) -> Iterator[None]:
        """Be undoing in the block if an item was taken back in the library, and its file follows only now."""
        from genrify_tagger.pipeline import change_reverted_by

        fallen = None
        if item.id not in self._undoing and flexattrs.was_undone(item):
            fallen = change_reverted_by(self.lazy.session(), os.fsdecode(path), genres)
        with self.undoing(item, fallen.id) if fallen else contextlib.nullcontext():
            yield

    def _announce(self, item: Item, path: bytes, genres: list[str]) -> int | None:
        from genrify_tagger.pipeline import announce_write

        return announce_write(
            self.lazy.session(),
            self.lazy.run,
            os.fsdecode(path),
            genres,
            origin="undo" if item.id in self._undoing else "beets",
            audio_key=self._keys.get(item.id),
            undoes=self._undoing.get(item.id),
        )

    def after_write(self, item: Item, path: bytes) -> None:
        """Note what a write of ours has left in the file."""
        if path == item.path:
            self._written.add(item.id)
        self._confirm(path)

    def has_written(self, item: Item) -> bool:
        """Tell whether beets wrote an item's file since this was asked for the last time."""
        written = item.id in self._written
        self._written.discard(item.id)
        return written

    def write(self, item: Item) -> bool:
        """Have beets write an item, and note what became of it; return whether it was written."""
        written = item.try_write()
        self._confirm(item.path)  # for the case that beets failed; else that is done already
        return bool(written)

    def settle_all(self) -> None:
        """Note what became of the writes that beets began and did not finish, and wait until all is journalled."""
        for path in [*self._pending]:
            self._confirm(path)
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown()

    def _confirm(self, path: bytes) -> None:
        from genrify_tagger.pipeline import confirm_write

        with self._lock:
            change = self._pending.pop(path, None)
        if change is None:
            return
        try:
            rest = confirm_write(self.lazy.session(), change)
        except GenrifyError as error:
            self.log.warning("{}: {}", displayable_path(path), self.in_words(error, path))
            return
        with self._lock:  # beets need not wait for the rest
            self._pool = self._pool or ThreadPoolExecutor(JOURNALLING, thread_name_prefix="genrify-journal")
            self._pool.submit(self._journal, rest, path)

    def _journal(self, rest: Callable[[], None], path: bytes) -> None:
        try:
            rest()
        except GenrifyError as error:
            self.log.warning("{}: {}", displayable_path(path), self.in_words(error, path))
