"""Songs worked on one by one as they come, for as long as it takes: the same way as in a scan, without its end.

A scan is given folders and ends; the service is given single files, whenever one has settled.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType

from genrify_tagger.errors import InterruptedScanError
from genrify_tagger.files import FileStat
from genrify_tagger.library import Candidate, candidate
from genrify_tagger.pipeline.process_file import ScanOptions, process_file
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.scan_folders import is_unchanged
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord


class FilePool:
    """Threads that take one song each the whole way; to be used by one thread, in a `with` block.

    Parameters
    ----------
    session : Session
        The open run's resources. Once its `stop` is set, no new write is begun.
    options : ScanOptions
        What to do beyond the settings.
    on_done : callable
        Called, in any thread, whenever a song is done.

    Notes
    -----
    Leaving the block ends all listening and lets writes in hand finish.
    """

    def __init__(self, session: Session, options: ScanOptions, on_done: Callable[[], None]) -> None:
        self._session = session
        self._options = options
        self._on_done = on_done
        self._hands = session.workers.jobs + 2
        self._pool = ThreadPoolExecutor(self._hands, thread_name_prefix="genrify")
        self._work: dict[Future[Result], str] = {}  # and the real paths of the songs

    def __enter__(self) -> FilePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """Begin no new write and end all listening; may be called by any thread."""
        self._session.stop.set()
        self._session.workers.interrupt()

    @property
    def has_room(self) -> bool:
        """Whether another song would be begun at once."""
        return len(self._work) < self._hands

    def holds(self, path: str) -> bool:
        """Whether the file behind a path is in hand, be it by another path that links lead along."""
        return os.path.realpath(path) in self._work.values()

    def begin(self, run: Callable[[], int], path: str, *, came_from: str | None = None) -> bool:
        """Begin with a file.

        Parameters
        ----------
        run : callable
            Returns the run to book a change on; called only if there is something to do.
        path : str
            Absolute path.
        came_from : str or None
            Where the file was before, if it was seen to be moved: it is not opened if it is otherwise as it was.

        Returns
        -------
        bool
            False if there is nothing to do: the file is as it was when last seen, or cannot hold a genre.

        Raises
        ------
        OSError
            If it cannot be looked at.
        StoreError
            If the database cannot be used.
        """
        item = candidate(path)
        if item is None or not item.taggable:
            return False
        record = self._known(item, came_from)
        if record is not None and is_unchanged(self._session, record, item.stat, self._options):
            return False
        self._hand(self._pool.submit(process_file, self._session, run(), item, record, self._options), item.target)
        return True

    def finished(self) -> list[Result]:
        """Return the songs that are done, without waiting.

        Raises
        ------
        StoreError
            If the database cannot be used.
        """
        done = [future for future in self._work if future.done()]
        results = []
        for future in done:
            del self._work[future]
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                results.append(future.result())
            elif not isinstance(error, InterruptedScanError):
                raise error
        return results

    def _hand(self, future: Future[Result], target: str) -> None:
        self._work[future] = target
        future.add_done_callback(lambda _: self._on_done())

    def _known(self, item: Candidate, came_from: str | None) -> FileRecord | None:
        former = None if came_from is None else os.path.realpath(came_from)
        known = self._session.store.files([item.target, *([former] if former else [])])
        record = known.get(item.target)
        if record is not None and record.missing_since is not None:
            self._session.store.mark_found([item.target])
        moved = known.get(former) if former and former != item.target else None
        if moved is None or not _is_same_file(moved.stat, item.stat) or os.path.lexists(moved.path):
            return record
        carried = replace(moved, path=item.target, stat=item.stat, missing_since=None)
        self._session.store.save_files([carried])
        self._session.store.forget([moved.path])
        return carried


def _is_same_file(before: FileStat | None, now: FileStat) -> bool:
    """Tell whether a moved file is otherwise as it was: only a move changes nothing but the time of its inode."""
    return before is not None and replace(before, ctime_ns=now.ctime_ns) == now
