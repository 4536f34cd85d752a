"""Walk through files and folders, and yield every song once.

What is looked at, and what is not:

* Names decide (`suffixes`): other files are passed over in silence. A file that is named itself is always yielded.
* Hidden files and folders are passed over; so are, therefore, our own temporary files. A named folder may be hidden.
* Within a folder files come first, sorted by name, then the folders below. Symbolic links come after everything
  else: a song that can be reached both ways is yielded under its own path.
* Each real folder is walked once, however many links or mounts lead to it; each file is yielded once. Hard links are
  files of their own.
* What cannot be looked at becomes one `Problem`: a missing or unreadable path, a link to nowhere or to itself, a
  file that vanished meanwhile; a device, pipe or socket if it is named or has the name of a song. A broken link whose
  suffix says that it never was a song ("cover.jpg") is passed over.

Memory is that of the folders' and links' names, not of the files' (but for one folder's at a time).
"""

from __future__ import annotations

import errno
import os
import re
import stat as modes
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.files import FileStat, fingerprint
from genrify_tagger.library.patterns import PathPatterns, parents
from genrify_tagger.library.suffixes import NOT_TAGGABLE, is_audio, is_hidden, suffix

_TEMPORARY = ".genrify-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to look at.

    Attributes
    ----------
    path : str
        Absolute path under which it was found.
    target : str
        Its real path, with all symbolic links resolved.
    stat : FileStat
        Its fingerprint (of the target, if it is a link).
    taggable : bool
        Whether its container has a place for a genre, as far as the name tells.
    """

    path: str
    target: str
    stat: FileStat
    taggable: bool


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A path that could not be looked at, and why, in plain words."""

    path: str
    error: str


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder or link on the list: where it is, really is, is relative to the root, and whether it is included."""

    path: str
    real: str
    relative: str
    included: bool

    def below(self, name: str, filter_: PathPatterns, *, folder: bool) -> _Place:
        relative = f"{self.relative}/{name}" if self.relative else name
        included = self.included or filter_.includes(relative, folder=folder)
        return _Place(os.path.join(self.path, name), os.path.join(self.real, name), relative, included)


def discover(
    paths: Iterable[str],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    roots: Sequence[str] = (),
) -> Iterator[Candidate | UnreadablePath]:
    """Find the audio files under `paths`, each once, in an order that depends on their names only.

    Parameters
    ----------
    paths : iterable of str
        Files and folders; what is named here is looked at even if `exclude` fits it.
    include, exclude : sequence of str
        Patterns (see `patterns`).
    roots : sequence of str
        Folders that the patterns are relative to: what lies in one of them is compared by its path from there, what
        lies in none by its path from the named folder.

    Yields
    ------
    Candidate or Problem
        No exception is raised for anything that a file system may hold or do.
    """
    return _Walk(PathPatterns(include, exclude), roots).run(paths)


def candidate(path: str) -> Candidate | None:
    """Return a single song as `discover` would find it; None if it is no regular file.

    Raises
    ------
    OSError
        If it cannot be looked at.
    """
    stat = os.stat(path)
    return _candidate(path, os.path.realpath(path), stat) if modes.S_ISREG(stat.st_mode) else None


class _Walk:
    """The state of one discovery."""

    def __init__(self, filter_: PathPatterns, roots: Sequence[str]) -> None:
        self._filter = filter_
        self._roots = {os.path.abspath(root): os.path.realpath(root) for root in roots}
        self._walked: dict[object, _Place | None] = {}  # folders by identity; None if unreadable
        self._yielded: set[str] = set()  # real paths of files that were named or linked to
        self._links: deque[_Place] = deque()
        self._complained: set[str] = set()

    def run(self, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
        for item in self._all(paths):
            if isinstance(item, UnreadablePath):
                if item.path in self._complained:
                    continue
                self._complained.add(item.path)
            yield item

    def _all(self, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
        for path in paths:
            yield from self._named(path)
        while self._links:
            yield from self._link(self._links.popleft())

    # --- what the user named ---

    def _named(self, given: str) -> Iterator[Candidate | UnreadablePath]:
        path = given
        try:
            path = _absolute(given)
            stat = os.stat(path)
        except (OSError, ValueError) as error:
            yield UnreadablePath(path, _words(path, error))
            return
        name = os.path.basename(path)
        if modes.S_ISDIR(stat.st_mode):
            yield from self._folders(self._root_place(path))
        elif name.startswith(_TEMPORARY):
            yield UnreadablePath(path, "a temporary file of Genrify Tagger")
        elif not modes.S_ISREG(stat.st_mode):
            yield UnreadablePath(path, "not a regular file")
        else:
            yield from self._file_once(path, stat)

    def _root_place(self, path: str) -> _Place:
        """Say where a named folder is relative to the root it lies in, or make it a root of its own."""
        owners = [root for root in self._roots if _is_within(path, root)]
        if not owners:
            self._roots[path] = os.path.realpath(path)
        relative = path[len(max(owners, key=len)) :].lstrip("/") if owners else ""
        included = any(self._filter.includes(p, folder=True) for p in [*parents(relative), relative] if p)
        return _Place(path, os.path.realpath(path), relative, included)

    # --- folders ---

    def _folders(self, first: _Place) -> Iterator[Candidate | UnreadablePath]:
        todo = [first]
        while todo:
            place = todo.pop()
            try:
                identity = _identity(place.real)
                if identity in self._walked:
                    continue
                self._walked[identity] = None
                files, folders = self._list(place)
                self._walked[identity] = place
            except OSError as error:
                yield UnreadablePath(place.path, _words(place.path, error))
                continue
            for name in files:
                yield from self._file(place, name)
            todo += reversed(folders)

    def _list(self, place: _Place) -> tuple[list[str], list[_Place]]:
        """Return the names of a folder's songs and the folders below it, both sorted; put its links on the list."""
        files, folders, links = [], [], []
        with os.scandir(place.path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif is_audio(entry.name):
                    files.append(entry.name)
        self._links += [place.below(name, self._filter, folder=False) for name in sorted(links)]
        below = [place.below(name, self._filter, folder=True) for name in sorted(folders)]
        return sorted(files), [f for f in below if not self._filter.excludes(f.relative, folder=True)]

    def _file(self, folder: _Place, name: str) -> Iterator[Candidate | UnreadablePath]:
        place = folder.below(name, self._filter, folder=False)
        if not place.included or self._filter.excludes(place.relative, folder=False) or place.real in self._yielded:
            return
        try:
            stat = os.lstat(place.path)
        except OSError as error:
            yield UnreadablePath(place.path, _words(place.path, error))
            return
        if modes.S_ISREG(stat.st_mode):
            yield _candidate(place.path, place.real, stat)
        else:
            yield UnreadablePath(place.path, "not a regular file")

    # --- links and other ways to a file ---

    def _link(self, place: _Place) -> Iterator[Candidate | UnreadablePath]:
        name = os.path.basename(place.path)
        try:
            stat = os.stat(place.path)
        except OSError as error:
            if _may_be_missed(name) and not self._filter.excludes(place.relative, folder=True):
                yield UnreadablePath(place.path, _words(place.path, error))
            return
        real = os.path.realpath(place.path)
        is_folder = modes.S_ISDIR(stat.st_mode)
        included = place.included or self._filter.includes(place.relative, folder=is_folder)
        if self._filter.excludes(place.relative, folder=is_folder) or self._target_is_excluded(real, folder=is_folder):
            return
        if is_folder:
            yield from self._folders(_Place(place.path, real, place.relative, included))
        elif included and is_audio(name):
            if modes.S_ISREG(stat.st_mode):
                yield from self._file_once(place.path, stat)
            else:
                yield UnreadablePath(place.path, "not a regular file")

    def _target_is_excluded(self, real: str, *, folder: bool) -> bool:
        """Whether a link leads to where the user said not to go."""
        insides = [real[len(root) :].lstrip("/") for root in self._roots.values() if _is_within(real, root)]
        return any(
            self._filter.excludes_any(inside) or (folder and self._filter.excludes(inside, folder=True))
            for inside in insides
        )

    def _file_once(self, path: str, stat: os.stat_result) -> Iterator[Candidate]:
        """Yield a file that was named or linked to, unless it was yielded before."""
        real = os.path.realpath(path)
        if real not in self._yielded and not self._was_walked(real):
            self._yielded.add(real)
            yield _candidate(path, real, stat)

    def _was_walked(self, real: str) -> bool:
        folder, name = os.path.split(real)
        try:
            place = self._walked.get(_identity(folder))
        except OSError:
            return False
        if place is None or is_hidden(name) or not is_audio(name):
            return False
        found = place.below(name, self._filter, folder=False)
        return found.included and not self._filter.excludes(found.relative, folder=False)


def _candidate(path: str, real: str, stat: os.stat_result) -> Candidate:
    return Candidate(path, real, fingerprint(stat), suffix(path) not in NOT_TAGGABLE)


def _identity(folder: str) -> object:
    stat = os.stat(folder)
    # Some network and user-space file systems number nothing; then the path has to do.
    return (stat.st_dev, stat.st_ino) if stat.st_ino else os.path.realpath(folder)


def _absolute(path: str) -> str:
    """Return a tidy absolute path that means the same: ".." after a symbolic link is left to the file system."""
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    joined = os.path.join(os.getcwd(), path)
    if ".." in joined.split("/"):
        return os.path.realpath(joined)
    tidy = os.path.normpath(joined)
    return f"/{tidy.lstrip('/')}" if tidy.startswith("//") else tidy


def _is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def _may_be_missed(name: str) -> bool:
    """Whether a broken link of this name may have led to songs: it is a song's, or it looks like a folder's."""
    return is_audio(name) or not re.fullmatch(r"\.[a-z][a-z0-9]{0,4}", suffix(name))


def _words(path: str, error: OSError | ValueError) -> str:
    """Say in plain words why a path cannot be looked at."""
    if isinstance(error, ValueError):
        return "not a path"
    if error.errno == errno.ELOOP:
        return "a symbolic link that leads back to itself"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "a symbolic link to nowhere" if os.path.islink(path) else "no such file or folder"
    return error.strerror or str(error)
