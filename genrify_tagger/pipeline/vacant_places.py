"""The places that a song has left: paths where it was seen and is no longer, from which a file found now may come."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from genrify_tagger.files import FileStat, file_stat, folded, is_inside
from genrify_tagger.store import Location


class VacantPlaces:
    """The places that a song has left, as far as nothing was found to have moved from there.

    Parameters
    ----------
    locations : iterable of Location
        Where the song was seen, whether it is still there or not.
    unreachable : callable
        Returns the folders whose files are out of reach, not gone; called after looking for the files.
    looked_up_at : float
        When looking for them began (`time.monotonic`).
    """

    def __init__(
        self, locations: Iterable[Location], unreachable: Callable[[], Collection[str]], looked_up_at: float
    ) -> None:
        self.looked_up_at = looked_up_at
        self.known = 0
        self._by_inode: dict[int, list[Location]] = defaultdict(list)
        self._by_name: dict[str, list[str]] = defaultdict(list)
        gone = []
        for place in locations:
            self.known += 1
            if place.stat is not None:
                self._by_inode[place.stat.inode].append(place)
            if not os.path.lexists(place.path):
                gone.append(place.path)
        away = unreachable() if gone else ()
        self._gone = [path for path in gone if not is_inside(path, away)]
        for path in self._gone:
            self._by_name[os.path.basename(path)].append(path)
        self._left = set(self._gone)

    def take(self, path: str, stat: FileStat, *, apart_from: Collection[str] = ()) -> str | None:
        """Return the place from which a file most probably came and remove it; None if the song left none.

        Parameters
        ----------
        path : str
            Where the file is now.
        stat : FileStat
            Its fingerprint.
        apart_from : collection of str
            Places that are not to be returned.
        """
        found = (
            self._same_file(path, stat, apart_from)
            or self._pop(self._by_name.get(os.path.basename(path), []), apart_from)
            or self._pop(self._gone, apart_from)
        )
        if found is not None:
            self.discard(found)
            self._by_inode[stat.inode] = [place for place in self._by_inode[stat.inode] if place.path != found]
        return found

    def discard(self, path: str) -> None:
        """Forget a place: its song is known to be elsewhere."""
        self._left.discard(path)

    def _same_file(self, path: str, stat: FileStat, apart_from: Collection[str]) -> str | None:
        for place in self._by_inode.get(stat.inode, ()):
            if place.path == path or place.path in apart_from or not is_same_file(place.stat, stat):
                continue
            if not _is_still_there(place, path):
                return place.path
        return None

    def _pop(self, paths: list[str], apart_from: Collection[str]) -> str | None:
        while paths:
            found = paths.pop()
            if found in self._left and found not in apart_from and not os.path.lexists(found):
                return found
        return None


def is_same_file(before: FileStat | None, now: FileStat) -> bool:
    """Tell whether a moved file is otherwise unchanged: a rename changes only the ctime."""
    return before is not None and replace(before, ctime_ns=now.ctime_ns) == now


def has_left(old: str, new: str) -> bool:
    """Tell whether the file at `new` is no longer at `old`, which it was; a hard link at `old` is another file."""
    return not os.path.lexists(old) or is_respelled(old, new)


def is_respelled(old: str, new: str) -> bool:
    """Tell whether only the case or the composition of accents has changed, where the file system ignores these."""
    parts, others = old.split(os.sep), new.split(os.sep)
    if old == new or len(parts) != len(others) or folded(old) != folded(new):
        return False
    at = next(index for index, (part, other) in enumerate(zip(parts, others, strict=True)) if part != other)
    try:
        return parts[at] not in os.listdir(os.sep.join([*others[:at], ""]))
    except OSError:
        return False


def _is_still_there(place: Location, new: str) -> bool:
    """Tell whether the file known from a place is there besides at `new`: another one may have taken its path."""
    try:
        now = file_stat(place.path)
    except OSError:
        return False
    return is_same_file(place.stat, now) and not is_respelled(place.path, new)
