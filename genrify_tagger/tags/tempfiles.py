"""Temporary files beside the user's files: players and watchers ignore their names, and stray ones are removed.

A name carries the process that made it, and the file is locked as long as that process works on it: a stray file is
one whose process is gone and whose lock is free, also when the folder is shared between machines. The name carries the
file's own inode number, too: under a name that has another one, there is what the new file was exchanged for. Since
inode numbers need not last longer than a mount, the name says as well which file it was made for.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator

from genrify_tagger import open_files
from genrify_tagger.errors import UnfinishedWriteError
from genrify_tagger.process_identity import start_ticks

_NAME = re.compile(r"\.genrify-(\d+)-(\d+)-([0-9a-f]{8})[0-9a-f]{8}(?:-(\d+))?\.tmp")
BACKUP_SUFFIX = ".bak"
_TRIES = 100


@contextlib.contextmanager
def temporary_file(target: str) -> Iterator[tuple[str, int]]:
    """Create a locked temporary file beside its target; whatever has its name at the end of the block is removed.

    Yields
    ------
    tuple of (str, int)
        Its path, and a descriptor open for reading and writing.

    Raises
    ------
    UnfinishedWriteError
        If it cannot be removed.
    """
    with _opened_folder(target) as folder:
        path, descriptor = _create(target)
        try:
            open_files.try_lock(descriptor)
            yield path, descriptor
        finally:
            inode = os.fstat(descriptor).st_ino
            os.close(descriptor)
            remove(path)
            _remove_moved(folder, os.path.basename(path), inode)


def remove(path: str) -> None:
    """Remove a temporary file.

    Raises
    ------
    UnfinishedWriteError
        If that is not possible.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        words = f"the temporary file {path} cannot be removed: {error.strerror or error}"
        raise UnfinishedWriteError(words, hint="the next start does that, and finishes or reverts the write") from error


@contextlib.contextmanager
def _opened_folder(path: str) -> Iterator[int | None]:
    if sys.platform == "win32":
        yield None  # no folder is renamed there while a file in it is open
    else:
        folder = os.open(os.path.dirname(path), getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)


def _remove_moved(folder: int | None, name: str, inode: int) -> None:
    """Remove a temporary file whose folder was renamed meanwhile; not what it was exchanged for, which is a user's."""
    if folder is None:
        return
    with contextlib.suppress(OSError):
        if os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino == inode:
            os.unlink(name, dir_fd=folder)


def _create(target: str) -> tuple[str, int]:
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | open_files.BINARY | open_files.NO_FOLLOW
    pid = os.getpid()
    folder = os.path.dirname(target)
    for _ in range(_TRIES):
        name = f".genrify-{pid}-{start_ticks(pid)}-{_mark(target)}{secrets.token_hex(4)}.tmp"
        path = os.path.join(folder, name)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, flags, 0o600)
            # On Windows no open file is renamed, and none is exchanged.
            return (path, descriptor) if sys.platform == "win32" else _named_by_inode(path, descriptor)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), folder)


def _mark(target: str) -> str:
    return hashlib.blake2b(os.fsencode(os.path.basename(target)), digest_size=4).hexdigest()


def _named_by_inode(path: str, descriptor: int) -> tuple[str, int]:
    try:
        named = f"{path.removesuffix('.tmp')}-{os.fstat(descriptor).st_ino}.tmp"
        os.rename(path, named)
    except OSError:
        os.close(descriptor)
        remove(path)
        raise
    return named, descriptor


def sweep(folder: str) -> list[str]:
    """Remove the temporary files that dead processes left in a folder.

    Parameters
    ----------
    folder : str
        Not searched further down.

    Returns
    -------
    list of str
        The paths removed. What cannot be removed is left for the next time.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    paths = (os.path.join(folder, name) for name in sorted(names) if _abandoned(name))
    return [path for path in paths if _remove_unlocked(path)]


def find_exchanged(path: str) -> str | None:
    """Return the stray file with the former content of `path`, if a process died right after the exchange."""
    try:
        folder, inode = os.path.dirname(path), os.stat(path).st_ino
        names = os.listdir(folder)
    except OSError:
        return None
    for name in names:
        match = _NAME.fullmatch(name)
        if match is not None and (match[3], match[4]) == (_mark(path), str(inode)) and _abandoned(name):
            return os.path.join(folder, name)
    return None


def _abandoned(name: str) -> bool:
    match = _NAME.fullmatch(name)
    if match is None:
        return False
    pid, started = int(match[1]), int(match[2])
    return not started or start_ticks(pid) != started


def _remove_unlocked(path: str) -> bool:
    try:
        descriptor = os.open(path, open_files.READ | open_files.NO_FOLLOW)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        if not open_files.try_lock(descriptor):
            return False
        if sys.platform == "win32":
            open_files.close_file(descriptor)  # no open file is deleted there
        os.unlink(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def backup_name(target: str, inode: int) -> str:
    """Return the name of the full copy that is kept while a file is rewritten in place."""
    digest = hashlib.blake2b(os.fsencode(target) + b"\0" + str(inode).encode(), digest_size=8).hexdigest()
    return f".genrify-{digest}{BACKUP_SUFFIX}"
