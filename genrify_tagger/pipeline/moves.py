"""Follow songs to new paths, and mark files that are gone as missing.

A path is where a song is now, not which song it is. A file found at a new path is a song that has moved if it is the
same file as one known from a path that does not exist any more, or has the same audio. Then its record and its journal
move with it. While the old path exists, the file is a copy, and begins without a history. A path below a mount point
where nothing is mounted now is unreachable, not gone: only the very same file, seen through another mount, has moved
from there. A file that two mounts show is one song, known by the path at which it was seen last.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import chain, islice, takewhile

from genrify_tagger.files import FileStat, file_stat, is_inside, real_path
from genrify_tagger.library import Candidate, discover
from genrify_tagger.mounts import MountTable, configured_mounts, related_mounts, unmounted
from genrify_tagger.pipeline.vacant_places import VacantPlaces, has_left
from genrify_tagger.store import FileRecord, Location, Move, Store

BATCH = 500
FEW = 32  # paths of a song that are looked up for each file


class MoveTracker:
    """Finds the former paths of songs; safe to use from several threads.

    Parameters
    ----------
    store : Store

    Attributes
    ----------
    number : int
        How many songs have moved so far.
    """

    def __init__(self, store: Store) -> None:
        self.number = 0
        self._store = store
        self._lock = threading.Lock()
        self._mounts = MountTable()
        self._vacancies: dict[str, VacantPlaces] = {}  # of songs with many paths
        self._planned: dict[tuple[str, str], str] = {}  # former path by new one and song, in dry runs
        self._promised: set[str] = set()  # these former paths

    def unreachable(self) -> list[str]:
        """Return the folders that belong to the library but are not mounted now."""
        return unmounted({*self._store.known_mounts(), *configured_mounts("/")})

    def remember_mounts(self, paths: Iterable[str]) -> None:
        """Remember the mount points of the file systems that these folders are on."""
        self._store.remember_mounts(point for path in paths for point in related_mounts(real_path(path)))

    def follow_files(self, files: Mapping[str, FileStat], *, dry_run: bool = False) -> dict[str, str]:
        """Move songs whose files are the same in every respect but their paths, as after renaming a folder.

        Parameters
        ----------
        files : mapping of str to FileStat
            Unknown files by real path.
        dry_run : bool
            Only find them.

        Returns
        -------
        dict of str to str
            The former path by new path.
        """
        known: dict[FileStat | None, list[tuple[Location, str | None]]] = defaultdict(list)
        for location, audio_key in self._store.files_like(set(files.values())):
            known[location.stat].append((location, audio_key))
        moves = self._through_other_mounts(files)
        for path, stat in files.items():
            if path in moves:
                continue
            left = [entry for entry in known[stat] if has_left(entry[0].path, path)]
            if left:
                found = max(left, key=lambda entry: _equal_ending(entry[0].path, path))
                known[stat].remove(found)
                moves[path] = Move(found[0].path, path, found[1])
        if not dry_run:
            self.move(moves.values())
        else:
            self.number += len(moves)
        return {move.new: move.old for move in moves.values()}

    def follow(
        self,
        path: str,
        audio_key: str,
        *,
        stat: FileStat | None = None,
        found_at: float | None = None,
        dry_run: bool = False,
    ) -> str:
        """Move a song to the path at which its audio was found, if it is gone from where it was.

        Parameters
        ----------
        path : str
            Real path of the file.
        audio_key : str
            The song's identity.
        stat, found_at : FileStat and float, optional
            The file's fingerprint, and since when (`time.monotonic`) it is known to be at `path`; by default, now.
        dry_run : bool
            Only find it.

        Returns
        -------
        str
            The path at which the journal has the song: `path`, but in a dry run the former one.
        """
        if self._store.has_changes(path, audio_key):
            return path
        other = next((p for p in self._mounts.other_paths(path) if self._store.has_changes(p, audio_key)), None)
        if other is not None:
            if dry_run:
                return other
            self.move([Move(other, path, audio_key)])
            return path
        now = file_stat(path)
        since = found_at if found_at is not None and stat == now else time.monotonic()
        with self._lock:
            if dry_run:
                return self._plan(path, audio_key, now, since)
            former = self._vacant_places(audio_key, since).take(path, now)
            if former is not None:
                self._move([Move(former, path, audio_key)])
        return path

    def move(self, moves: Collection[Move]) -> None:
        """Take the records and the journal of songs to their new paths."""
        with self._lock:
            self._move(moves)

    def _move(self, moves: Collection[Move]) -> None:
        if not moves:
            return
        self._store.move_songs(moves)
        self.number += len(moves)
        for move in moves:
            if move.audio_key in self._vacancies:
                self._vacancies[move.audio_key].discard(move.old)

    def mark_gone(self, paths: Iterable[str], *, away: Callable[[], Collection[str]] | None = None) -> Iterator[None]:
        """Mark the files at or below `paths` (real ones) as missing that are gone; analyses and journal are kept.

        Parameters
        ----------
        paths : iterable of str
        away : callable or None
            Returns the folders that are unreachable now; None for those that are not mounted.

        Yields
        ------
        None
            After each batch.
        """
        for path in paths:
            known = chain([path], self._store.paths_under(path))
            missing = (candidate for candidate in known if not os.path.lexists(candidate))
            while batch := list(islice(missing, BATCH)):
                unreachable = (away or self.unreachable)()  # after looking for the files: it may just have changed
                gone = [candidate for candidate in batch if not is_inside(candidate, unreachable)]
                self._store.mark_missing(gone)
                self._inherit(gone)
                yield None

    def present(self, records: Iterable[FileRecord]) -> Iterator[FileRecord]:
        """Yield the records whose files exist, or are unreachable; the next scan marks the others as missing."""
        unreachable = self.unreachable()
        return (record for record in records if os.path.lexists(record.path) or is_inside(record.path, unreachable))

    def follow_below(self, path: str) -> int:
        """Move songs to the unknown files at or below a path, as far as that is known without reading them.

        Returns
        -------
        int
            How many files are still unknown.
        """
        found = {item.target: item.stat for item in discover([path]) if isinstance(item, Candidate)}
        known = self._store.sightings(found)
        unknown = {new: stat for new, stat in found.items() if new not in known}
        return len(unknown) - len(self.follow_files(unknown))

    def moved_to(self, path: str) -> str | None:
        """Return the folder or file to which the songs have moved that were changed at or below a path."""
        paths = self._store.paths_moved_from(path)
        return os.path.commonpath(paths) if paths else None

    def _through_other_mounts(self, files: Iterable[str]) -> dict[str, Move]:
        """Return the moves of files that are known by the paths that other mounts give them, by new path."""
        others = {other: path for path in files for other in self._mounts.other_paths(path)}
        known = self._store.files(others)
        return {others[old]: Move(old, others[old], record.audio_key) for old, record in known.items()}

    def _inherit(self, gone: Collection[str]) -> None:
        """Give the history of songs whose files are gone to copies without a history."""
        by_key = defaultdict(list)
        for record in self._store.files(gone).values():
            if record.audio_key is not None and self._store.has_changes(record.path, record.audio_key):
                by_key[record.audio_key].append(record.path)
        moves: list[Move] = []
        for audio_key, paths in by_key.items():
            heirs = self._heirs(audio_key, len(paths))
            moves += [Move(old, new, audio_key) for old, new in zip(paths, heirs, strict=False)]
        self.move(moves)

    def _heirs(self, audio_key: str, wanted: int) -> list[str]:
        """Return copies of a song without a history of their own, as many as are wanted and there."""
        limit = wanted + BATCH
        while True:
            found = self._store.copies_without_changes(audio_key, limit)
            heirs = list(islice((path for path in found if os.path.lexists(path)), wanted))
            if len(heirs) == wanted or len(found) < limit:
                return heirs
            limit *= 2

    def _plan(self, path: str, audio_key: str, stat: FileStat, since: float) -> str:
        """Return the path that a song would move from, `path` if none; the same one if asked again."""
        former = self._planned.get((path, audio_key))
        if former is None:
            former = self._vacant_places(audio_key, since).take(path, stat, apart_from=self._promised)
            if former is None:
                return path
            self.number += 1
            self._planned[path, audio_key] = former
            self._promised.add(former)
        return former

    def _vacant_places(self, audio_key: str, since: float) -> VacantPlaces:
        """Return the places that a song has left, for a file that has been where it is `since` then.

        What was looked up after that holds: the file was there already, so wherever it came from it had left. So a
        song with thousands of copies is not looked up for each of them.
        """
        known = self._vacancies.get(audio_key)
        if known is None or known.looked_up_at < since:
            now = time.monotonic()
            known = VacantPlaces(self._store.locations(audio_key), self.unreachable, now)
            if known.known > FEW:
                self._vacancies[audio_key] = known
        return known


def _equal_ending(one: str, other: str) -> int:
    """Return how many trailing components two paths have in common."""
    pairs = zip(reversed(one.split(os.sep)), reversed(other.split(os.sep)), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
