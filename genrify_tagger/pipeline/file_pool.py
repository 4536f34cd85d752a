"""Threads that each take one file at a time through the engine.

The analysis itself happens in the worker processes, so the threads mostly wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from genrify_tagger.errors import InterruptedScanError
from genrify_tagger.files import real_path
from genrify_tagger.pipeline.engine import process_file
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer
from genrify_tagger.pipeline.session import Session

WINDOW = 16  # files per worker that are being processed, or are done and wait for earlier ones


class FilePool:
    """A pool of threads for the engine; used by a single thread, in a `with` block.

    Parameters
    ----------
    session : Session
        Once its `stop` is set, no new write begins.
    writer : Writer
        Who writes.
    options : ScanOptions
        What to do beyond the settings.
    on_done : callable, optional
        Called, in any thread, whenever a file is done.
    ends_session : bool
        Whether leaving the block ends all analyses, so that only writes in progress finish. If not, all files in
        progress are finished first, unless Ctrl-C is pressed.
    """

    def __init__(
        self,
        session: Session,
        writer: Writer,
        options: ScanOptions,
        on_done: Callable[[], None] | None = None,
        *,
        ends_session: bool = True,
    ) -> None:
        self._session = session
        self._writer = writer
        self._options = options
        self._on_done = on_done
        self._ends_session = ends_session
        self._size = session.workers.jobs + 2
        self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="genrify")
        self._begun: dict[Future[Outcome], str] = {}  # by `begin`, with the real paths of the files

    def __enter__(self) -> FilePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ends_session or kind is KeyboardInterrupt:
            self.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def stop(self) -> None:
        """Start no new write and end all analyses; may be called from any thread."""
        self._session.stop.set()
        self._session.workers.interrupt()

    def in_order(self, items: Iterable[FileTask | Outcome]) -> Generator[Outcome]:
        """Process files and yield their outcomes, in the order of the files.

        Parameters
        ----------
        items : iterable of FileTask or Outcome
            Files, and outcomes that are already known and keep their position.

        Raises
        ------
        InterruptedScanError
            If the session was stopped.
        StoreError
            If the database cannot be used.
        """
        window: deque[Outcome | Future[Outcome]] = deque()
        for item in items:
            window.append(item if isinstance(item, Outcome) else self._submit(item))
            while window and (len(window) > WINDOW * self._session.workers.jobs or _is_done(window[0])):
                yield _outcome(window.popleft())
        while window:
            yield _outcome(window.popleft())

    @property
    def has_room(self) -> bool:
        """Whether another file could start at once."""
        return len(self._begun) < self._size

    def holds(self, path: str) -> bool:
        """Whether the file at a path is being processed, perhaps under another path that links lead to."""
        return real_path(path) in self._begun.values()

    def begin(self, task: FileTask) -> None:
        """Start processing a file; `finished` returns its outcome."""
        future = self._submit(task)
        self._begun[future] = task.target
        if self._on_done is not None:
            future.add_done_callback(self._tell_done)

    def finished(self) -> list[Outcome]:
        """Return the outcomes of files that are done, without waiting.

        Raises
        ------
        StoreError
            If the database cannot be used.
        """
        done = [future for future in self._begun if future.done()]
        outcomes = []
        for future in done:
            del self._begun[future]
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                outcomes.append(future.result())
            elif not isinstance(error, InterruptedScanError):
                raise error
        return outcomes

    def _submit(self, task: FileTask) -> Future[Outcome]:
        return self._pool.submit(process_file, self._session, task, self._writer, self._options)

    def _tell_done(self, _: Future[Outcome]) -> None:
        if self._on_done is not None:
            self._on_done()


def _is_done(entry: Outcome | Future[Outcome]) -> bool:
    return isinstance(entry, Outcome) or entry.done()


def _outcome(entry: Outcome | Future[Outcome]) -> Outcome:
    return entry if isinstance(entry, Outcome) else entry.result()
