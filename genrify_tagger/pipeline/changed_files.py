"""Find what is new, changed or gone since the last scan, without opening a file: what the service does at its start.

It costs one `stat` and a few database columns per file, and memory for one batch of files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from genrify_tagger.config import LibrarySettings
from genrify_tagger.files import is_inside, real_path, relative_parts
from genrify_tagger.library import Candidate, PathPatterns, UnreadablePath, candidate
from genrify_tagger.pipeline.file_state import is_unchanged
from genrify_tagger.pipeline.file_task import FileTask, ScanOptions
from genrify_tagger.pipeline.path_limit import refuse_long, storable
from genrify_tagger.pipeline.scan_folders import BATCH, discovered, moved_records
from genrify_tagger.pipeline.session import Session
from genrify_tagger.pipeline.vacant_places import is_same_file
from genrify_tagger.store import FileRecord, Move


class PathFilter:
    """Which paths a scan of the library would find; for events, which contain only paths.

    Parameters
    ----------
    library : LibrarySettings
        Patterns, and the roots that they are relative to.
    """

    def __init__(self, library: LibrarySettings) -> None:
        self._filter = PathPatterns(library.include, library.exclude)
        self._roots = sorted((os.path.abspath(root) for root in library.roots), key=len, reverse=True)

    def wants(self, path: str) -> bool:
        """Whether a scan would find this file; False outside of all roots."""
        relative = self._relative(path)
        return bool(relative) and self._filter.wants(relative or "")

    def enters(self, folder: str) -> bool:
        """Whether a scan would enter this folder; False outside of all roots."""
        relative = self._relative(folder)
        return relative is not None and (not relative or self._filter.enters(relative))

    def _relative(self, path: str) -> str | None:
        for root in self._roots:
            if is_inside(path, [root]):
                return relative_parts(path, root)
        return None


def find_changed(
    session: Session,
    paths: Sequence[str],
    options: ScanOptions,
    *,
    away: Callable[[], Collection[str]] | None = None,
) -> Iterator[Candidate | UnreadablePath | None]:
    """Compare the audio files under `paths` with their records in the store.

    Parameters
    ----------
    session : Session
    paths : sequence of str
        Folders.
    options : ScanOptions
        What counts as unchanged.
    away : callable
        Returns folders whose files are unreachable rather than gone: mount points where nothing is mounted.

    Yields
    ------
    Candidate, UnreadablePath or None
        Files to be processed and paths that could not be read; None after each batch, so that the caller can do
        other work.

    Notes
    -----
    Files that are no longer there are marked as missing, but not those in folders that are `away`, and none where no
    audio file was found at all: an empty folder may be a mount point.
    """
    found = discovered(session.settings.library, paths)
    inside = [real_path(path) for path in paths]
    remembered = 0
    any_files = False
    while batch := [storable(session.store, item) for item in islice(found, BATCH)]:
        candidates = [item for item in batch if isinstance(item, Candidate) and item.taggable]
        any_files = any_files or bool(candidates)
        known = session.store.sightings([item.target for item in candidates])
        known |= session.store.sightings(moved_records(session, candidates, known, dry_run=False))
        back = [path for path, sighting in known.items() if sighting.missing_since is not None]
        if back:
            session.store.mark_found(back)
        remembered += sum(is_inside(path, inside) for path in known)
        yield from (item for item in batch if isinstance(item, UnreadablePath))
        for item in candidates:
            sighting = known.get(item.target)
            if sighting is None or not is_unchanged(session, sighting, item.stat, options):
                yield item
        yield None
    if any_files and sum(map(session.store.number_under, inside)) > remembered:
        yield from session.moves.mark_gone(inside, away=away)


def task_for(
    session: Session, path: str, options: ScanOptions, *, came_from: str | None = None, found_at: float
) -> FileTask | None:
    """Return a single file as a task for the engine.

    Parameters
    ----------
    session : Session
    path : str
        Absolute path.
    options : ScanOptions
        What counts as unchanged.
    came_from : str or None
        Its path before a move that was observed: the file is not opened if nothing else about it has changed.
    found_at : float
        Since when it is known to be there; see `FileTask`.

    Returns
    -------
    FileTask or None
        None if there is nothing to do: the file is unchanged, or cannot hold a genre.

    Raises
    ------
    OSError
        If the file cannot be accessed.
    StoreError
        If the database cannot be used.
    """
    item = candidate(path)
    if item is None or not item.taggable:
        return None
    refuse_long(session.store, item.target)
    record = _known(session, item, came_from)
    if record is not None and is_unchanged(session, record, item.stat, options):
        return None
    return FileTask(path=item.path, target=item.target, stat=item.stat, record=record, found_at=found_at)


def _known(session: Session, item: Candidate, came_from: str | None) -> FileRecord | None:
    """Return the store's record of a file; the record of a moved file moves with it."""
    former = None if came_from is None else real_path(came_from)
    known = session.store.files([item.target, *([former] if former else [])])
    record = known.get(item.target)
    if record is not None and record.missing_since is not None:
        session.store.mark_found([item.target])
    moved = known.get(former) if former and former != item.target else None
    if moved is None or not is_same_file(moved.stat, item.stat) or os.path.lexists(moved.path):
        return record or moved_records(session, [item], (), dry_run=False).get(item.target)
    session.moves.move([Move(moved.path, item.target, moved.audio_key)])
    carried = replace(moved, path=item.target, stat=item.stat, missing_since=None)
    session.store.save_files([carried])
    return carried
