"""Walk through files and folders and yield every audio file once.

Rules:

* File names decide (`suffixes`): other files are ignored. A file passed as an argument is always yielded.
* Hidden files and folders are ignored, and with them the program's own temporary files. A folder passed as an argument
  may be hidden.
* Within a folder, files come first, sorted by name, then the folders below. Symbolic links come last: a file that is
  reachable both ways is yielded under its own path.
* Each real folder is walked once, however many links or mounts lead to it; each file is yielded once. Hard links
  count as separate files.
* What cannot be read becomes one `UnreadablePath`: a missing or unreadable path, a broken or circular link, a file
  that has vanished; a device, pipe or socket that is an argument or has the name of an audio file. A broken link whose
  suffix is not that of audio ("cover.jpg") is ignored.

Memory holds the relative paths of folders, the links, and the file names of one folder at a time.
"""

from __future__ import annotations

import errno
import os
import re
import stat as modes
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.files import FileStat, fingerprint, is_inside, real_path, relative_parts
from genrify_tagger.library.patterns import PathPatterns, parents
from genrify_tagger.library.suffixes import NOT_TAGGABLE, is_audio, is_hidden, suffix

_TEMPORARY_PREFIX = ".genrify-"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to process.

    Attributes
    ----------
    path : str
        Absolute path under which it was found.
    target : str
        Its real path, with all symbolic links resolved.
    stat : FileStat
        Its fingerprint; for a link, that of the target.
    taggable : bool
        Whether its container can hold a genre, judging by its name.
    """

    path: str
    target: str
    stat: FileStat
    taggable: bool


@dataclass(frozen=True, slots=True)
class UnreadablePath:
    """A path that could not be read, and why."""

    path: str
    error: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """A folder or link to walk: its path, real path and path relative to the root, and whether it is included."""

    path: str
    real: str
    relative: str
    included: bool

    def below(self, name: str, filter_: PathPatterns, *, folder: bool) -> _Entry:
        relative = f"{self.relative}/{name}" if self.relative else name
        included = self.included or filter_.includes(relative, folder=folder)
        return _Entry(os.path.join(self.path, name), os.path.join(self.real, name), relative, included)


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
        Files and folders; these are processed even if `exclude` matches them.
    include, exclude : sequence of str
        Patterns (see `patterns`).
    roots : sequence of str
        Folders that patterns are relative to; elsewhere patterns are relative to the folder in `paths`.

    Yields
    ------
    Candidate or UnreadablePath
        Nothing that a file system may contain or do raises an exception.
    """
    return _Walk(PathPatterns(include, exclude), roots).run(paths)


def candidate(path: str) -> Candidate | None:
    """Return a single file as `discover` would yield it; None if it is not a regular file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    real = real_path(path)
    stat = os.stat(real)
    return _candidate(path, real, stat) if modes.S_ISREG(stat.st_mode) else None


class _Walk:
    """The state of one discovery."""

    def __init__(self, filter_: PathPatterns, roots: Sequence[str]) -> None:
        self._filter = filter_
        self._roots = {os.path.abspath(root): real_path(root) for root in roots}
        # Relative paths of folders by identity, None if unreadable; nothing more, since there may be 100,000.
        self._walked: dict[int | str, str | None] = {}
        self._yielded: set[str] = set()  # real paths of files that were named or linked to
        self._links: deque[_Entry] = deque()
        self._reported: set[str] = set()

    def run(self, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
        for item in self._all(paths):
            if isinstance(item, UnreadablePath):
                if item.path in self._reported:
                    continue
                self._reported.add(item.path)
            yield item

    def _all(self, paths: Iterable[str]) -> Iterator[Candidate | UnreadablePath]:
        for path in paths:
            yield from self._from_argument(path)
        while self._links:
            yield from self._link(self._links.popleft())

    # --- arguments ---

    def _from_argument(self, given: str) -> Iterator[Candidate | UnreadablePath]:
        path = given
        try:
            path = _absolute(given)
            stat = os.stat(path)
        except (OSError, ValueError) as error:
            yield UnreadablePath(path, _describe_error(path, error))
            return
        name = os.path.basename(path)
        if modes.S_ISDIR(stat.st_mode):
            yield from self._folders(self._root_entry(path))
        elif name.startswith(_TEMPORARY_PREFIX):
            yield UnreadablePath(path, "a temporary file of Genrify Tagger")
        elif not modes.S_ISREG(stat.st_mode):
            yield UnreadablePath(path, "not a regular file")
        else:
            yield from self._file_once(path)

    def _root_entry(self, path: str) -> _Entry:
        """Return the entry of a folder argument, relative to the root it lies in, or a root itself."""
        owners = [root for root in self._roots if is_inside(path, [root])]
        if not owners:
            self._roots[path] = real_path(path)
        relative = relative_parts(path, max(owners, key=len)) if owners else ""
        included = any(self._filter.includes(p, folder=True) for p in [*parents(relative), relative] if p)
        return _Entry(path, real_path(path), relative, included)

    # --- folders ---

    def _folders(self, first: _Entry) -> Iterator[Candidate | UnreadablePath]:
        todo = [first]
        while todo:
            entry = todo.pop()
            try:
                identity = _identity(entry.real)
                if identity in self._walked:
                    continue
                self._walked[identity] = None
                files, folders = self._list(entry)
                self._walked[identity] = entry.relative
            except OSError as error:
                yield UnreadablePath(entry.path, _describe_error(entry.path, error))
                continue
            for name in files:
                yield from self._file(entry, name)
            todo += reversed(folders)

    def _list(self, folder: _Entry) -> tuple[list[str], list[_Entry]]:
        """Return the audio files of a folder and the folders below it, both sorted; remember its links for later."""
        files, folders, links = [], [], []
        with os.scandir(folder.path) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif is_audio(entry.name):
                    files.append(entry.name)
        self._links += [folder.below(name, self._filter, folder=False) for name in sorted(links)]
        below = [folder.below(name, self._filter, folder=True) for name in sorted(folders)]
        return sorted(files), [f for f in below if not self._filter.excludes(f.relative, folder=True)]

    def _file(self, folder: _Entry, name: str) -> Iterator[Candidate | UnreadablePath]:
        entry = folder.below(name, self._filter, folder=False)
        if not entry.included or self._filter.excludes(entry.relative, folder=False) or entry.real in self._yielded:
            return
        try:
            stat = os.lstat(entry.real)  # some file systems give each spelling an inode
        except OSError as error:
            yield UnreadablePath(entry.path, _describe_error(entry.path, error))
            return
        if modes.S_ISREG(stat.st_mode):
            yield _candidate(entry.path, entry.real, stat)
        else:
            yield UnreadablePath(entry.path, "not a regular file")

    # --- links ---

    def _link(self, entry: _Entry) -> Iterator[Candidate | UnreadablePath]:
        name = os.path.basename(entry.path)
        try:
            stat = os.stat(entry.path)
        except OSError as error:
            if _may_lead_to_music(name) and not self._filter.excludes(entry.relative, folder=True):
                yield UnreadablePath(entry.path, _describe_error(entry.path, error))
            return
        real = real_path(entry.path)
        is_folder = modes.S_ISDIR(stat.st_mode)
        included = entry.included or self._filter.includes(entry.relative, folder=is_folder)
        if self._filter.excludes(entry.relative, folder=is_folder) or self._target_is_excluded(real, folder=is_folder):
            return
        if is_folder:
            yield from self._folders(_Entry(entry.path, real, entry.relative, included))
        elif included and is_audio(name):
            if modes.S_ISREG(stat.st_mode):
                yield from self._file_once(entry.path)
            else:
                yield UnreadablePath(entry.path, "not a regular file")

    def _target_is_excluded(self, real: str, *, folder: bool) -> bool:
        """Whether a link leads to an excluded file or folder."""
        insides = [relative_parts(real, root) for root in self._roots.values() if is_inside(real, [root])]
        return any(
            self._filter.excludes_any(inside) or (folder and self._filter.excludes(inside, folder=True))
            for inside in insides
        )

    def _file_once(self, path: str) -> Iterator[Candidate | UnreadablePath]:
        """Yield an argument or the target of a link, unless it was yielded before."""
        real = real_path(path)
        if real not in self._yielded and not self._was_walked(real):
            self._yielded.add(real)
            try:
                yield _candidate(path, real, os.stat(real))
            except OSError as error:
                yield UnreadablePath(path, _describe_error(path, error))

    def _was_walked(self, real: str) -> bool:
        folder, name = os.path.split(real)
        try:
            walked = self._walked.get(_identity(folder))
        except OSError:
            return False
        if walked is None or is_hidden(name) or not is_audio(name):
            return False
        relative = f"{walked}/{name}" if walked else name
        return self._filter.includes_any(relative) and not self._filter.excludes(relative, folder=False)


def _candidate(path: str, real: str, stat: os.stat_result) -> Candidate:
    return Candidate(path, real, fingerprint(stat), suffix(path) not in NOT_TAGGABLE)


def _identity(folder: str) -> int | str:
    stat = os.stat(folder)
    # Some network and user-space file systems have no inode numbers; use the path there.
    return stat.st_ino << 64 | stat.st_dev if stat.st_ino else real_path(folder)


def _absolute(path: str) -> str:
    """Return a normalised absolute path for the same file: ".." after a symbolic link is resolved by the system."""
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    joined = os.path.join(os.getcwd(), path)
    if ".." in joined.replace(os.sep, "/").split("/"):
        return real_path(joined)
    tidy = os.path.normpath(joined)
    return f"/{tidy.lstrip('/')}" if tidy.startswith("//") else tidy


def _may_lead_to_music(name: str) -> bool:
    """Whether a broken link of this name may have led to audio: the name is that of an audio file or of a folder."""
    return is_audio(name) or not re.fullmatch(r"\.[a-z][a-z0-9]{0,4}", suffix(name))


def _describe_error(path: str, error: OSError | ValueError) -> str:
    """Return why a path cannot be read."""
    if isinstance(error, ValueError):
        return "not a valid path"
    if error.errno == errno.ELOOP:
        return "a symbolic link that points to itself"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "a broken symbolic link" if os.path.islink(path) else "no such file or folder"
    return error.strerror or str(error)
