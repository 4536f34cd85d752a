"""Find what is new, changed or gone since the last look, without opening a file: what the service does at every start.

It costs one `stat` and a few columns of the database a file, and memory for a batch of files only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, islice

from genrify_tagger.config import LibrarySettings
from genrify_tagger.files import is_inside
from genrify_tagger.library import Candidate, PathPatterns, UnreadablePath
from genrify_tagger.pipeline.process_file import ScanOptions
from genrify_tagger.pipeline.scan_folders import BATCH, discovered, is_unchanged
from genrify_tagger.pipeline.session import Session


class PathFilter:
    """Which paths a look through the library would come upon; for events, which know paths only.

    Parameters
    ----------
    library : LibrarySettings
        Patterns, and the roots that they are relative to.
    """

    def __init__(self, library: LibrarySettings) -> None:
        self._filter = PathPatterns(library.include, library.exclude)
        self._roots = sorted((os.path.abspath(root) for root in library.roots), key=len, reverse=True)

    def wants(self, path: str) -> bool:
        """Whether a look would yield this file; False outside of all roots."""
        relative = self._relative(path)
        return bool(relative) and self._filter.wants(relative or "")

    def enters(self, folder: str) -> bool:
        """Whether a look would enter this folder; False outside of all roots."""
        relative = self._relative(folder)
        return relative is not None and (not relative or self._filter.enters(relative))

    def _relative(self, path: str) -> str | None:
        for root in self._roots:
            if path == root:
                return ""
            if path.startswith(root.rstrip("/") + "/"):
                return path[len(root) :].lstrip("/")
        return None


def _nothing_away() -> Collection[str]:
    return ()


def find_changed(
    session: Session,
    paths: Sequence[str],
    options: ScanOptions,
    *,
    away: Callable[[], Collection[str]] = _nothing_away,
) -> Iterator[Candidate | UnreadablePath | None]:
    """Compare the songs under `paths` with what is remembered of them.

    Parameters
    ----------
    session : Session
        The open run's resources.
    paths : sequence of str
        Folders.
    options : ScanOptions
        What counts as unchanged.
    away : callable
        Returns folders whose files are out of reach and not gone: mount points without their file system.

    Yields
    ------
    Candidate, Problem or None
        Songs to be worked on and paths that could not be looked at; None after each batch, for a caller that has
        other things to do as well.

    Notes
    -----
    Files that are no longer there are marked as missing, but for those in folders that are `away` and where no song
    was found at all: an empty folder may be a mount point.
    """
    found = discovered(session.settings.library, paths)
    inside = [os.path.realpath(path) for path in paths]
    remembered = 0
    any_songs = False
    while batch := list(islice(found, BATCH)):
        candidates = [item for item in batch if isinstance(item, Candidate) and item.taggable]
        any_songs = any_songs or bool(candidates)
        known = session.store.sightings([item.target for item in candidates])
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
    if any_songs and sum(map(session.store.number_under, inside)) > remembered:
        yield from mark_gone(session, inside, away=away)


def mark_gone(
    session: Session, paths: Iterable[str], *, away: Callable[[], Collection[str]] = _nothing_away
) -> Iterator[None]:
    """Remember which files at or under `paths` (real ones) are no longer there; analyses and journal are kept.

    Yields
    ------
    None
        After each batch.
    """
    for path in paths:
        known = chain([path], session.store.paths_under(path))
        missing = (candidate for candidate in known if not os.path.lexists(candidate))
        while batch := list(islice(missing, BATCH)):
            out_of_reach = away()  # asked after the look at the files, since the file system may have gone meanwhile
            session.store.mark_missing(p for p in batch if not is_inside(p, out_of_reach))
            yield None
