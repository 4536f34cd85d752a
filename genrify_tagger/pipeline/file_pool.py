"""Threads that each take one file at a time through the engine.

The analysis itself happens in the worker processes, so the threads mostly wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeVar

from genrify_tagger.errors import InterruptedScanError
from genrify_tagger.files import real_path
from genrify_tagger.pipeline.albums import by_folder, decide_albums
from genrify_tagger.pipeline.engine import finish_file, prepare_file, process_file
from genrify_tagger.pipeline.file_run import FileRun
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer
from genrify_tagger.pipeline.session import Session

T = TypeVar("T")

WINDOW = 16  # files per worker that are being processed, or are done and wait for earlier ones


@dataclass(frozen=True, eq=False)
class _Folder:
    """Files that are prepared together, and their real paths."""

    runs: Sequence[Future[FileRun]]
    targets: Sequence[str]


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

    Attributes
    ----------
    undecided : deque of str
        Files to process again, because their album has become sure; for those who call `begin`.
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
        self._size = session.workers.capacity + 2
        self._pool = ThreadPoolExecutor(self._size, thread_name_prefix="genrify")
        self._by_album = session.settings.tagging.scope == "album"
        self._preparing: list[_Folder] = []  # by `begin`
        self._begun: dict[Future[list[Outcome]], Sequence[str]] = {}  # by `begin`, with the real paths of the files
        self._is_open = True
        self.undecided: deque[str] = deque()

    def __enter__(self) -> FilePool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ends_session or kind is KeyboardInterrupt:
            self.stop()
        self._is_open = False
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
        if self._by_album:
            yield from self._ordered(self._finish_albums(items))
        else:
            yield from self._ordered(self._jobs(process_file, items))

    def _jobs(
        self, step: Callable[[Session, FileTask, Writer, ScanOptions], T], items: Iterable[FileTask | Outcome]
    ) -> Generator[Outcome | Callable[[], T]]:
        for item in items:
            yield item if isinstance(item, Outcome) else self._job(step, item)

    def _job(self, step: Callable[[Session, FileTask, Writer, ScanOptions], T], task: FileTask) -> Callable[[], T]:
        return partial(step, self._session, task, self._writer, self._options)

    def _finish_albums(self, items: Iterable[FileTask | Outcome]) -> Generator[Outcome | Callable[[], Outcome]]:
        """Prepare the songs of a folder, decide on its albums, and yield what finishes each song."""
        for folder in by_folder(self._ordered(self._jobs(prepare_file, items))):
            for song in decide_albums(self._session, folder).songs:
                yield song if isinstance(song, Outcome) else partial(finish_file, *song)

    def _ordered(self, jobs: Iterable[Outcome | Callable[[], T]]) -> Generator[Outcome | T]:
        """Run jobs and yield what they return, in their order; outcomes that are known pass through."""
        window: deque[Outcome | Future[T]] = deque()
        for job in jobs:
            window.append(job if isinstance(job, Outcome) else self._pool.submit(job))
            while window and (len(window) > WINDOW * self._session.workers.capacity or _is_done(window[0])):
                first = window.popleft()
                yield first if isinstance(first, Outcome) else first.result()
        for entry in window:
            yield entry if isinstance(entry, Outcome) else entry.result()

    @property
    def has_room(self) -> bool:
        """Whether another file could start at once."""
        return len(self._held) < self._size

    def holds(self, path: str) -> bool:
        """Whether the file at a path is being processed, perhaps under another path that links lead to."""
        return real_path(path) in self._held

    @property
    def _held(self) -> list[str]:
        """The real paths of the files that are being processed."""
        of_folders = [target for folder in self._preparing for target in folder.targets]
        return [*of_folders, *(target for targets in self._begun.values() for target in targets)]

    def begin(self, tasks: Sequence[FileTask]) -> None:
        """Start processing files that were found together; `finished` returns their outcomes."""
        targets = [task.target for task in tasks]
        if self._by_album:
            runs = [self._submit(self._job(prepare_file, task)) for task in tasks]
            self._preparing.append(_Folder(runs, targets))
        else:
            for task in tasks:
                self._begun[self._submit(partial(self._process, task))] = [task.target]

    def _process(self, task: FileTask) -> list[Outcome]:
        return [process_file(self._session, task, self._writer, self._options)]

    def _finish_folder(self, folder: _Folder) -> list[Outcome]:
        """Decide on the albums of a prepared folder, and finish its songs."""
        decided = decide_albums(self._session, [run.result() for run in folder.runs])
        self.undecided.extend(decided.undecided)
        return [song if isinstance(song, Outcome) else finish_file(*song) for song in decided.songs]

    def _finish_prepared(self) -> None:
        for folder in [folder for folder in self._preparing if all(run.done() for run in folder.runs)]:
            self._preparing.remove(folder)
            self._begun[self._submit(partial(self._finish_folder, folder))] = folder.targets

    def finished(self) -> list[Outcome]:
        """Return the outcomes of files that are done, without waiting.

        Raises
        ------
        StoreError
            If the database cannot be used.
        """
        if self._is_open:
            self._finish_prepared()
        done = [future for future in self._begun if future.done()]
        outcomes: list[Outcome] = []
        for future in done:
            del self._begun[future]
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                outcomes += future.result()
            elif not isinstance(error, InterruptedScanError):
                raise error
        return outcomes

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(job)
        if self._on_done is not None:
            future.add_done_callback(self._tell_done)
        return future

    def _tell_done(self, _: Future[T]) -> None:
        if self._on_done is not None:
            self._on_done()


def _is_done(entry: Outcome | Future[T]) -> bool:
    return isinstance(entry, Outcome) or entry.done()
