"""Which files changed, as far as players need to know: how many, and in which folders."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from genrify_tagger.files import is_at_or_in, moved_below, names_elsewhere

MAX_FOLDERS = 20  # beyond that, players are told the folder above them all: MPD queues 32 updates at most


@dataclass
class ChangedFiles:
    """The files that one or more runs changed.

    Attributes
    ----------
    run : int
        The last run; 0 if there was none.
    number : int
        How many files.
    folders : set of str
        Their folders, as real paths.
    """

    run: int = 0
    number: int = 0
    folders: set[str] = field(default_factory=set)

    def add(self, path: str) -> None:
        """Count a changed file."""
        self.number += 1
        self.folders.add(os.path.dirname(os.path.realpath(path)))

    def update(self, later: ChangedFiles) -> None:
        """Add the files of later runs."""
        self.run = later.run
        self.number += later.number
        self.folders |= later.folders

    def folders_for(self, locations: Iterable[str], paths: Mapping[str, str]) -> dict[str, list[str]] | None:
        """Return the folders in a player's own terms, by the location of the player that each is in.

        Parameters
        ----------
        locations : iterable of str
            The folders of the player's library, as the player has them.
        paths : mapping of str to str
            Folders here and where the players have them.

        Returns
        -------
        dict of str to list of str, or None
            None if the whole library must be updated, because it is not known where the player has a folder.
        """
        places = list(locations)
        found: dict[str, list[str]] = {}
        for folder in _topmost(self.folders):
            place = next(
                (place for name in names_elsewhere(folder, paths) for place in _in_locations(name, places)), None
            )
            if place is None:
                return None
            found.setdefault(place[0], []).append(place[1])
        return found or None


def _topmost(folders: Iterable[str]) -> list[str]:
    """Return the folders without those inside others; of too many, the folder above them all, if there is one."""
    found: list[str] = []
    for folder in sorted(folders, key=lambda folder: folder.split(os.sep)):
        if not found or not is_at_or_in(folder, found[-1]):
            found.append(folder)
    if len(found) <= MAX_FOLDERS:
        return found
    with contextlib.suppress(ValueError):  # on several drives of Windows
        return [os.path.commonpath(found)]
    return []


def _in_locations(folder: str, locations: Iterable[str]) -> list[tuple[str, str]]:
    """Return the location that a folder is in and the folder as the player has it, if there is one."""
    return [
        (location, moved_below(location, folder, base))
        for location in locations
        for base in dict.fromkeys((location, os.path.realpath(location)))
        if is_at_or_in(folder, base)
    ]
