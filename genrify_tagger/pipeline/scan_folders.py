"""From a folder to tagged files: discover, recognise, listen, judge, journal, write.

Each file is worked on by one thread from end to end; the listening itself happens in the worker processes, so the
threads mostly wait. Results come in the order of discovery; at most `WINDOW` files per worker are in flight.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from genrify_tagger.config import LibrarySettings
from genrify_tagger.files import FileStat
from genrify_tagger.library import Candidate, UnreadablePath, discover
from genrify_tagger.pipeline.process_file import ScanOptions, process_file
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord, Sighting

BATCH = 500
WINDOW = 16


def scan_folders(session: Session, run: int, paths: Sequence[str], options: ScanOptions) -> Generator[Result]:
    """Tag the audio files under `paths`.

    Parameters
    ----------
    session : Session
        The open run's resources.
    run : int
        Run to book changes on.
    paths : sequence of str
        Files and folders.
    options : ScanOptions
        What to do beyond the settings.

    Yields
    ------
    Result
        One for each audio file and for each path that could not be looked at.

    Notes
    -----
    Closing the generator early (as an interrupt does) ends all listening, lets writes in hand finish, and keeps what
    is done.
    """
    found = discovered(session.settings.library, paths)
    songs = 0
    pool = ThreadPoolExecutor(session.workers.jobs + 2, thread_name_prefix="genrify")
    window: deque[Result | Future[Result]] = deque()
    try:
        while batch := list(islice(found, BATCH)):
            candidates = [item for item in batch if isinstance(item, Candidate)]
            known = session.store.files([item.target for item in candidates])
            songs += len(candidates)
            _mark_found(session, known, options)
            for item in batch:
                window.append(_begin(session, run, item, known, options, pool))
                while window and (len(window) > WINDOW * session.workers.jobs or _is_done(window[0])):
                    yield _result(window.popleft())
        while window:
            yield _result(window.popleft())
        if songs and not options.dry_run:
            _mark_missing(session, paths)
    finally:
        session.stop.set()
        session.workers.interrupt()
        pool.shutdown(wait=True, cancel_futures=True)


def discovered(library: LibrarySettings, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
    """Find the songs under `paths`, by the settings' patterns."""
    return discover(paths, include=library.include, exclude=library.exclude, roots=library.roots)


def _is_done(entry: Result | Future[Result]) -> bool:
    return isinstance(entry, Result) or entry.done()


def _result(entry: Result | Future[Result]) -> Result:
    return entry if isinstance(entry, Result) else entry.result()


def _begin(
    session: Session,
    run: int,
    item: Candidate | UnreadablePath,
    known: Mapping[str, FileRecord],
    options: ScanOptions,
    pool: ThreadPoolExecutor,
) -> Result | Future[Result]:
    if isinstance(item, UnreadablePath):
        return Result(path=item.path, status="failed", error=item.error, listed=False)
    record = known.get(item.target)
    if not item.taggable:
        reason = "this kind of file has no place for a genre"
        return Result(path=item.path, status="skipped", reason=reason, listed=False)
    if record is not None and is_unchanged(session, record, item.stat, options):
        return _remembered(session, item.path, record)
    return pool.submit(process_file, session, run, item, record, options)


def is_unchanged(session: Session, record: FileRecord | Sighting, stat: FileStat, options: ScanOptions) -> bool:
    """Tell whether a file need not be looked at: the same file, the same settings, the same model as last time."""
    if options.force or options.reanalyse or record.stat != stat:
        return False
    same_model = record.model == session.sidecar.id
    if record.status == "failed":
        return same_model and not options.retry_failed
    if record.title is None:
        return False  # remembered by a version, or by another door, that did not read what files call themselves
    if record.settings_key != session.settings_key:
        return False
    return same_model or record.status != "unsure"


def _remembered(session: Session, path: str, record: FileRecord) -> Result:
    failed = record.status == "failed"
    before = f"{record.status}: {record.reason}" if record.reason else record.status
    return Result(
        path=path,
        status="failed" if failed else "unchanged",
        reason="failed before; --retry-failed tries again" if failed else f"was {before}",
        genres=record.genres,
        guess=session.guess(record.scores, record.confidence),
        confidence=record.confidence,
        scores=record.scores,
        vocabulary=record.vocabulary or "",
        before=record.after,
        after=record.after,
        cached=True,
        duration=record.duration,
        model=record.model or "",
        error=record.error,
    )


def _mark_found(session: Session, known: Mapping[str, FileRecord], options: ScanOptions) -> None:
    back = [path for path, record in known.items() if record.missing_since is not None]
    if back and not options.dry_run:
        session.store.mark_found(back)


def _mark_missing(session: Session, paths: Sequence[str]) -> None:
    """Remember which files of the scanned folders are gone; never called where nothing was found (a lost mount)."""
    for root in paths:
        gone = (path for path in session.store.paths_under(os.path.realpath(root)) if not os.path.lexists(path))
        while batch := list(islice(gone, BATCH)):
            session.store.mark_missing(batch)
