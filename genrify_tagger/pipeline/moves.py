"""Follow songs to new paths, and mark files that are gone as missing.

A path is where a song is now, not which song it is. A file found at a new path is a song that has moved if it is the
same file as one known from a path that does not exist any more, or has the same audio. Then its record and its journal
move with it. While the old path exists, the file is a copy, and begins without a history. A path below a mount point
where nothing is mounted now is unreachable, not gone: only the very same file, seen through another mount, has moved
from there.
"""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain, islice, takewhile

from genrify_tagger.files import FileStat, file_stat, is_inside
from genrify_tagger.library import Candidate, discover
from genrify_tagger.mounts import configured_mounts, related_mounts, unmounted
from genrify_tagger.store import FileRecord, Location, Move, Store

BATCH = 500
PATIENCE = 20  # a song's old paths are used for this many times the time it takes to look them up


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
        self._vacancies: dict[str, _Vacancies] = {}

    def unreachable(self) -> list[str]:
        """Return the folders that belong to the library but are not mounted now."""
        return unmounted({*self._store.known_mounts(), *configured_mounts("/")})

    def remember_mounts(self, paths: Iterable[str]) -> None:
        """Remember the mount points of the file systems that these folders are on."""
        self._store.remember_mounts(point for path in paths for point in related_mounts(os.path.realpath(path)))

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
        moves = []
        for path, stat in files.items():
            left = [entry for entry in known[stat] if _has_left(entry[0].path, path)]
            if left:
                found = max(left, key=lambda entry: _equal_ending(entry[0].path, path))
                known[stat].remove(found)
                moves.append(Move(found[0].path, path, found[1]))
        if moves and not dry_run:
            self._store.move_songs(moves)
        self.number += len(moves)
        return {move.new: move.old for move in moves}

    def follow(self, path: str, audio_key: str, *, dry_run: bool = False) -> str:
        """Move a song to the path at which its audio was found, if it is gone from where it was.

        Parameters
        ----------
        path : str
            Real path of the file.
        audio_key : str
            The song's identity.
        dry_run : bool
            Only find it.

        Returns
        -------
        str
            The path at which the journal has the song: `path`, but in a dry run the former one.
        """
        if self._store.has_changes(path, audio_key):
            return path
        with self._lock:
            former = self._vacant_places(audio_key).take(path, file_stat(path))
            if former is None:
                return path
            self.number += 1
            if dry_run:
                return former
            self._store.move_songs([Move(former, path, audio_key)])
        return path

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

    def follow_below(self, path: str) -> None:
        """Move songs to the unknown files at or below a path, as far as that is known without reading them."""
        found = {item.target: item.stat for item in discover([path]) if isinstance(item, Candidate)}
        known = self._store.sightings(found)
        self.follow_files({new: stat for new, stat in found.items() if new not in known})

    def moved_to(self, path: str) -> str | None:
        """Return the folder or file to which the songs have moved that were changed at or below a path."""
        paths = self._store.paths_moved_from(path)
        return os.path.commonpath(paths) if paths else None

    def _inherit(self, gone: Collection[str]) -> None:
        """Give the history of songs whose files are gone to copies without a history."""
        by_key = defaultdict(list)
        for record in self._store.files(gone).values():
            if record.audio_key is not None and self._store.has_changes(record.path, record.audio_key):
                by_key[record.audio_key].append(record.path)
        moves: list[Move] = []
        for audio_key, paths in by_key.items():
            copies = [place.path for place in self._store.locations(audio_key) if os.path.lexists(place.path)]
            heirs = [path for path in copies if not self._store.has_changes(path, audio_key)]
            moves += [Move(old, new, audio_key) for old, new in zip(paths, heirs, strict=False)]
        if moves:
            self._store.move_songs(moves)
            self.number += len(moves)

    def _vacant_places(self, audio_key: str) -> _Vacancies:
        """Return the places that a song has left, looked up anew if that is quick or was long ago.

        The time spent on this stays a fixed share of the run, however many copies a song has.
        """
        known = self._vacancies.get(audio_key)
        if known is None or time.monotonic() >= known.valid_until:
            started = time.monotonic()
            known = _Vacancies(self._store.locations(audio_key), self.unreachable())
            now = time.monotonic()
            known.valid_until = now + PATIENCE * (now - started)
            self._vacancies[audio_key] = known
        return known


@dataclass
class _Vacancies:
    """The places that a song has left and that no other file was found to have moved from."""

    locations: Iterable[Location]
    unreachable: Collection[str]
    valid_until: float = 0.0
    _gone: dict[str, Location] = field(default_factory=dict)
    _by_name: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _by_inode: dict[int, list[Location]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for place in self.locations:
            now = _stat_or_none(place.path)
            if place.stat is not None:
                self._by_inode[place.stat.inode].append(place)
            if now is None and not is_inside(place.path, self.unreachable):
                self._gone[place.path] = place
                self._by_name[os.path.basename(place.path)].append(place.path)

    def take(self, path: str, stat: FileStat) -> str | None:
        """Return the place from which a file most probably came and remove it; None if the song left none."""
        found = self._same_file(path, stat) or self._same_name(path) or next(iter(self._gone), None)
        if found is not None:
            self._gone.pop(found, None)
            self._by_inode[stat.inode] = [place for place in self._by_inode[stat.inode] if place.path != found]
        return found

    def _same_file(self, path: str, stat: FileStat) -> str | None:
        for place in self._by_inode.get(stat.inode, ()):
            if place.path != path and is_same_file(place.stat, stat) and not _is_still_there(place, path):
                return place.path
        return None

    def _same_name(self, path: str) -> str | None:
        names = self._by_name.get(os.path.basename(path), [])
        while names:
            if (found := names.pop()) in self._gone:
                return found
        return None


def is_same_file(before: FileStat | None, now: FileStat) -> bool:
    """Tell whether a moved file is otherwise unchanged: a rename changes only the ctime."""
    return before is not None and replace(before, ctime_ns=now.ctime_ns) == now


def _is_still_there(place: Location, new: str) -> bool:
    """Tell whether the file known from a place is there besides at `new`: another one may have taken its path."""
    now = _stat_or_none(place.path)
    return now is not None and is_same_file(place.stat, now) and not _is_respelled(place.path, new)


def _has_left(old: str, new: str) -> bool:
    """Tell whether the file at `new` is no longer at `old`, which it was; a hard link at `old` is another file."""
    return not os.path.lexists(old) or _is_respelled(old, new)


def _is_respelled(old: str, new: str) -> bool:
    """Tell whether only the case or the composition of accents has changed, where the file system ignores these."""
    parts, others = old.split(os.sep), new.split(os.sep)
    if old == new or len(parts) != len(others) or _folded(old) != _folded(new):
        return False
    at = next(index for index, (part, other) in enumerate(zip(parts, others, strict=True)) if part != other)
    try:
        return parts[at] not in os.listdir(os.sep.join(others[:at]) or os.sep)
    except OSError:
        return False


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _stat_or_none(path: str) -> FileStat | None:
    try:
        return file_stat(path)
    except OSError:
        return None


def _equal_ending(one: str, other: str) -> int:
    """Return how many trailing components two paths have in common."""
    pairs = zip(reversed(one.split(os.sep)), reversed(other.split(os.sep)), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
