"""A scan: find audio files in folders and process each of them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from genrify_tagger.config import LibrarySettings
from genrify_tagger.files import real_path
from genrify_tagger.library import Candidate, UnreadablePath, discover
from genrify_tagger.pipeline.file_pool import FilePool
from genrify_tagger.pipeline.file_state import is_unchanged
from genrify_tagger.pipeline.file_task import FileTask, Outcome, ScanOptions, Writer
from genrify_tagger.pipeline.results import Result
from genrify_tagger.pipeline.session import Session
from genrify_tagger.store import FileRecord

BATCH = 500  # files that are looked up together


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
        One for each audio file and for each path that could not be read, in the order of discovery.

    Notes
    -----
    Closing the generator early (as an interrupt does) ends all analyses, lets writes in progress finish, and keeps
    all results so far.
    """
    with FilePool(session, writer, options) as pool:
        for outcome in pool.in_order(_found(session, paths, writer, options)):
            yield outcome.result


def discovered(library: LibrarySettings, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
    """Find the audio files under `paths` that match the patterns in the settings."""
    return discover(paths, include=library.include, exclude=library.exclude, roots=library.roots)


def _found(
    session: Session, paths: Sequence[str], writer: Writer, options: ScanOptions
) -> Iterator[FileTask | Outcome]:
    """Yield the files to process, and the outcomes of those that need no processing."""
    found = discovered(session.settings.library, paths)
    if writer.remembers:
        session.moves.remember_mounts(paths)
    files = 0
    while batch := list(islice(found, BATCH)):
        candidates = [item for item in batch if isinstance(item, Candidate)]
        files += len(candidates)
        known = session.store.files([item.target for item in candidates])
        known |= moved_records(session, candidates, known, dry_run=not writer.remembers)
        back = [path for path, record in known.items() if record.missing_since is not None]
        if back and writer.remembers:
            session.store.mark_found(back)
        # Made at once, so that one look-up of the places that a song has left serves all of them.
        yield from [
            _unreadable(item) if isinstance(item, UnreadablePath) else _task(session, item, known, options)
            for item in batch
        ]
    if files and writer.remembers:
        for _ in session.moves.mark_gone(map(real_path, paths)):
            pass  # batch by batch


def _task(session: Session, item: Candidate, known: dict[str, FileRecord], options: ScanOptions) -> FileTask | Outcome:
    record = known.get(item.target)
    if not item.taggable:
        reason = "this kind of file has no place for a genre"
        return Outcome(result=Result(path=item.path, status="skipped", reason=reason, listed=False))
    if record is not None and is_unchanged(session, record, item.stat, options):
        return Outcome(result=_remembered(session, item.path, record), stat=item.stat)
    return FileTask(path=item.path, target=item.target, stat=item.stat, record=record)


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
