"""File fingerprints, open writers of a file, real paths, and paths and numbers for display.

Paths are `str` from `os.fsdecode` (undecodable bytes as surrogates), so that every file name can be used; the store
keeps them as bytes.
"""

from __future__ import annotations

import base64
import contextlib
import os
import sys
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass

if sys.platform == "win32":
    from genrify_tagger import windows_api
elif sys.platform == "linux":
    import fcntl
    import signal


@dataclass(frozen=True, slots=True)
class FileStat:
    """The parts of `os.stat_result` that tell whether a file is unchanged."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def file_stat(path: str | int) -> FileStat:
    """Stat a file (symbolic links are followed) or an open descriptor.

    Raises
    ------
    OSError
        If the file cannot be reached.
    """
    return fingerprint(os.stat(path))


def fingerprint(stat: os.stat_result) -> FileStat:
    """Return the parts of a stat result that tell whether a file is unchanged."""
    # On Windows, Python's `stat` and `fstat` mean different times by ctime, but the same by that of creation.
    changed = getattr(stat, "st_birthtime_ns", stat.st_ctime_ns) if sys.platform == "win32" else stat.st_ctime_ns
    return FileStat(stat.st_size, stat.st_mtime_ns, changed, stat.st_ino)


def has_writer(descriptor: int) -> bool | None:
    """Return whether any process has a file open for writing.

    Linux grants a read lease only if no process does. It is released at once. Windows opens a file without sharing it
    with writers only if there is none.

    Parameters
    ----------
    descriptor : int
        The file, opened for reading only.

    Returns
    -------
    bool or None
        None if unknown: on other systems, most network file systems, for files of other users.
    """
    if sys.platform == "win32":
        return windows_api.is_open_for_writing(descriptor)
    elif sys.platform == "linux":
        return _has_linux_writer(descriptor)
    else:
        return None


if sys.platform == "linux":

    def _has_linux_writer(descriptor: int) -> bool | None:
        try:
            # If a process opens it for writing now, the kernel sends a signal; the default one would kill this process.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        except BlockingIOError:
            return True
        except OSError:
            return None
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        return False


def real_path(path: str) -> str:
    """Return the real path, spelled as on disk where case or the composition of accents does not matter."""
    real = os.path.realpath(path)
    if os.name == "nt":
        return real  # spelled so already
    found = os.sep
    for name in real.split(os.sep)[1:]:
        found = os.path.join(found, _spelling(found, name))
    return found


def folded(name: str) -> str:
    """Return a name or path without differences of case and of the composition of accents."""
    return unicodedata.normalize("NFC", name).casefold()


def _spelling(folder: str, name: str) -> str:
    """Return how a name in a folder is spelled on disk; listed only if the folder knows it by another name, too."""
    others = {name.swapcase(), unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)} - {name}
    if not any(os.path.lexists(os.path.join(folder, other)) for other in others):
        return name
    try:
        names = os.listdir(folder)
    except OSError:
        return name
    return name if name in names else next((entry for entry in names if folded(entry) == folded(name)), name)


def is_inside(path: str, folders: Collection[str]) -> bool:
    """Return whether a path is one of `folders` or inside one."""
    return any(path == folder or path.startswith(with_separator(folder)) for folder in folders)


def is_at_or_in(path: str, base: str) -> bool:
    """Return whether a path is `base` or inside it; `base` may end in a separator."""
    return is_inside(path, [base.rstrip(os.sep) or base])


def names_elsewhere(path: str, places: Mapping[str, str]) -> list[str]:
    """Return what other hosts and programs may call a path, the likeliest first; last as it is called here.

    Parameters
    ----------
    path : str
    places : mapping of str to str
        Folders here and where others have them.
    """
    said = [
        moved_below(there, path, base)
        for here, there in sorted(places.items(), key=lambda item: len(item[0]), reverse=True)
        for base in dict.fromkeys((here, os.path.realpath(here)))
        if is_at_or_in(path, base)
    ]
    return [*said, path]


def moved_below(base: str, path: str, former_base: str, separator: str = os.sep) -> str:
    """Return the path that is to `base` what `path` is to `former_base`, with the separators of `base`."""
    inside = path[len(former_base.rstrip(separator)) :]
    return base.rstrip("/" if "/" in base else separator) + (inside.replace(separator, "/") if "/" in base else inside)


def with_separator(folder: str, separator: str = os.sep) -> str:
    r"""Return how all paths in a folder begin: with one separator at its end, as ``/`` and ``C:\`` have."""
    return folder.rstrip(separator) + separator


def relative_parts(path: str, root: str, separator: str = os.sep) -> str:
    """Return a path below `root` relative to it, with "/" between its parts on every system, as in patterns."""
    return path[len(root) :].lstrip(separator).replace(separator, "/")


def display_path(path: str) -> str:
    """Return `path` as one printable line: what is not UTF-8 becomes U+FFFD, control characters are escaped."""
    return printable(os.fsencode(path).decode("utf-8", "replace"))


def printable(text: str) -> str:
    """Return text as one line that is safe for a terminal: unprintable characters are escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: "1 file", "2,000 files"."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def json_path(path: str) -> dict[str, str]:
    """Return the fields that name a file in JSON: `path`, and `path_bytes` (base64) if it is not UTF-8."""
    raw = os.fsencode(path)
    try:
        return {"path": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"path": raw.decode("utf-8", "replace"), "path_bytes": base64.b64encode(raw).decode("ascii")}
