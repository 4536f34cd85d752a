"""A scan: find audio files in folders and process each of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from genrify_tagger.config import LibrarySettings
from genrify_tagger.files import is_inside, real_path
from genrify_tagger.library import Candidate, UnreadablePath, discover
from genrify_tagger.pipeline.file_pool import FilePool
from genrify_tagger.pipeline.file_state import is_unchanged
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer
from genrify_tagger.pipeline.path_limit import storable
from genrify_tagger.pipeline.results import Result, is_withheld
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord
from genrify_tagger.tags import stat_or_none

BATCH = 500  # files that are looked up together
CLAIMED = 32  # files that are claimed together: another process may take the next ones
MOST_POSTPONED = 10_000  # files that other processes are working on, which are held in memory
POLL_SECONDS = 0.5


def scan_folders(session: Session, paths: Sequence[str], writer: Writer, options: ScanOptions) -> Generator[Result]:
    """Tag the audio files under `paths`.

    Parameters
    ----------
    session : Session
    paths : sequence of str
        Files and folders.
    writer : Writer
        Who writes.
    options : ScanOptions
        What to do beyond the settings.

    Yields
    ------
    Result
        One for each audio file and for each path that could not be read, in the order of discovery; last those that
        another process was working on.

    Notes
    -----
    Closing the generator early (as an interrupt does) ends all analyses, lets writes in progress finish, and keeps
    all results so far.
    """
    search = _Search(session, paths, writer, options)
    with FilePool(session, writer, options) as pool:
        while not search.is_over and not session.stop.is_set():
            for outcome in pool.in_order(search.next_files()):
                yield outcome.result
            for outcome in pool.in_order(search.postponed_files()):
                yield outcome.result


def discovered(library: LibrarySettings, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
    """Find the audio files under `paths` that match the patterns in the settings."""
    return discover(paths, include=library.include, exclude=library.exclude, roots=library.roots)


class _Search:
    """The files under some paths: those to process, claimed for this process, and what is known of the others."""

    def __init__(self, session: Session, paths: Sequence[str], writer: Writer, options: ScanOptions) -> None:
        self._session = session
        self._paths = paths
        self._options = options
        self._remembers = writer.remembers
        self._found = discovered(session.settings.library, paths)
        self._any_files = False
        self._inside = [real_path(path) for path in paths]
        self._known = 0  # of the files found, those inside that the store has
        self._postponed: list[FileTask] = []
        self._is_walked = False
        if self._remembers:
            session.moves.remember_mounts(paths)

    @property
    def is_over(self) -> bool:
        """Whether every file was yielded."""
        return self._is_walked and not self._postponed

    def next_files(self) -> Iterator[FileTask | Outcome]:
        """Yield files to process and the outcomes of those that need no processing.

        Leaves those that another process is working on to `postponed_files`, and stops early if there are many.
        """
        while len(self._postponed) < MOST_POSTPONED and not self._is_walked:
            batch = list(islice(self._found, BATCH))
            yield from self._look_up(batch)
            if not batch:
                self._end_walk()

    def _end_walk(self) -> None:
        self._is_walked = True
        if not (self._any_files and self._remembers):
            return
        if sum(map(self._session.store.number_under, self._inside)) > self._known:
            for _ in self._session.moves.mark_gone(self._inside):
                pass  # batch by batch

    def _look_up(self, batch: Sequence[Candidate | UnreadablePath]) -> Iterator[FileTask | Outcome]:
        batch = [storable(self._session.store, item) for item in batch]
        candidates = [item for item in batch if isinstance(item, Candidate)]
        self._any_files = self._any_files or bool(candidates)
        unchanged = set() if self._options.describe_unchanged else self._unchanged(candidates)
        others = [item for item in candidates if item.target not in unchanged]
        known = self._session.store.files([item.target for item in others])
        known |= moved_records(self._session, others, known, dry_run=not self._remembers)
        back = [path for path, record in known.items() if record.missing_since is not None]
        if back and self._remembers:
            self._session.store.mark_found(back)
        self._known += sum(is_inside(path, self._inside) for paths in (unchanged, known) for path in paths)
        # Made at once, so that one look-up of the places that a song has left serves all of them.
        found = [
            _unreadable(item)
            if isinstance(item, UnreadablePath)
            else _unchanged(item)
            if item.target in unchanged
            else _task(self._session, item, known, self._options)
            for item in batch
        ]
        yield from self._claimed(found) if self._remembers else found

    def _unchanged(self, candidates: Iterable[Candidate]) -> set[str]:
        """Return the real paths of files that are unchanged, from the few columns that tell."""
        stats = {item.target: item.stat for item in candidates if item.taggable}
        return {
            path
            for path, sighting in self._session.store.sightings(stats).items()
            if sighting.status != "failed"
            and not is_withheld(sighting.reason)
            and sighting.missing_since is None
            and is_unchanged(self._session, sighting, stats[path], self._options)
        }

    def _claimed(self, items: Sequence[FileTask | Outcome]) -> Iterator[FileTask | Outcome]:
        """Yield outcomes, and the files that no other process works on, a few at a time."""
        for start in range(0, len(items), CLAIMED):
            few = items[start : start + CLAIMED]
            tasks = [item for item in few if isinstance(item, FileTask)]
            if not tasks:
                yield from few
                continue
            granted = self._session.claims.take([task.target for task in tasks])
            now_known = self._session.store.files(granted)
            for item in few:
                if isinstance(item, Outcome):
                    yield item
                elif item.target in granted:
                    yield self._again(item, now_known.get(item.target))
                else:
                    self._postponed.append(item)

    def _again(self, task: FileTask, record: FileRecord | None) -> FileTask | Outcome:
        """Return a claimed file, or its outcome if another process was done with it since it was looked up."""
        if record is None or record == task.record:
            return task
        stat = stat_or_none(task.target)
        if stat is None or not is_unchanged(self._session, record, stat, ScanOptions()):
            return replace(task, record=record)
        self._session.claims.release(task.target)
        return Outcome(result=_remembered(self._session, task.path, record), stat=stat)

    def postponed_files(self) -> Iterator[FileTask | Outcome]:
        """Yield those files that another process was working on and has done, or left behind when it ended."""
        began = time.monotonic()
        waiting, self._postponed = self._postponed, []
        yield from self._claimed(waiting)
        if waiting and len(self._postponed) == len(waiting):
            self._session.stop.wait(max(POLL_SECONDS, 4 * (time.monotonic() - began)))


def _task(session: Session, item: Candidate, known: dict[str, FileRecord], options: ScanOptions) -> FileTask | Outcome:
    record = known.get(item.target)
    if not item.taggable:
        reason = "this kind of file has no place for a genre"
        return Outcome(result=Result(path=item.path, status="skipped", reason=reason, listed=False))
    if record is not None and is_unchanged(session, record, item.stat, options):
        return Outcome(result=_remembered(session, item.path, record), stat=item.stat)
    return FileTask(path=item.path, target=item.target, stat=item.stat, record=record)


def _unchanged(item: Candidate) -> Outcome:
    return Outcome(result=Result(path=item.path, status="unchanged", cached=True), stat=item.stat)


def _unreadable(item: UnreadablePath) -> Outcome:
    return Outcome(result=Result(path=item.path, status="failed", error=item.error, listed=False))


def _remembered(session: Session, path: str, record: FileRecord) -> Result:
    failed = record.status == "failed"
    before = f"{record.status}: {record.reason}" if record.reason else record.status
    return Result(
        path=path,
        status="failed" if failed else "unchanged",
        reason="failed before; --retry-failed tries again" if failed else f"was {before}",
        genres=record.genres,
        guess=session.active.guess(record.scores, record.confidence),
        confidence=record.confidence,
        scores=record.scores,
        vocabulary=record.vocabulary or "",
        tree=_remembered_path(session, record),
        before=record.after,
        after=record.after,
        cached=True,
        duration=record.duration,
        model=record.model or "",
        error=record.error,
    )


def _remembered_path(session: Session, record: FileRecord) -> tuple[str, ...]:
    same = bool(record.genres) and record.vocabulary == session.active.vocabulary.name
    return session.active.tree_path(session.active.label_of(record.genres[0])) if same else ()


def moved_records(
    session: Session, candidates: Iterable[Candidate], known: Collection[str], *, dry_run: bool
) -> dict[str, FileRecord]:
    """Return the records of the candidates that are known from another path and otherwise unchanged.

    Moves the songs to their new paths, except in a dry run.
    """
    unknown = {item.target: item.stat for item in candidates if item.target not in known}
    former = session.moves.follow_files(unknown, dry_run=dry_run) if unknown else {}
    if not dry_run:
        return session.store.files(former)
    records = session.store.files(former.values())
    moved = {new: records[old] for new, old in former.items() if old in records}
    return {path: replace(record, path=path, missing_since=None) for path, record in moved.items()}
