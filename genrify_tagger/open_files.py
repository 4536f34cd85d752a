"""What open files need differently on each system: flags, locks, positioned reads, flushed folders, replacement.

Windows has no positioned reads, locks files by another call, and replaces no file that a program has open.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator

if sys.platform == "win32":
    from genrify_tagger import windows_api
else:
    import fcntl

BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
NO_FOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
# So as not to hang on a FIFO or open a terminal.
READ = os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)

REPLACE_SECONDS = 5.0  # how long to wait for another program to close a file; longer than an indexer or scanner reads
_STEP_SECONDS = 0.05
_FICLONERANGE = 0x4020940D


def try_lock(descriptor: int) -> bool:
    """Take the exclusive lock on an open file, and return whether it was free; it is held until the file is closed."""
    if sys.platform == "win32":
        return windows_api.try_lock(descriptor, shared=False)
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def wait_for_lock(descriptor: int, *, shared: bool = False) -> None:
    """Take the lock on an open file as soon as it is free; several processes may share it."""
    if sys.platform == "win32":
        while not windows_api.try_lock(descriptor, shared=shared):
            time.sleep(_STEP_SECONDS)  # LockFileEx itself could not be interrupted with Ctrl-C
    else:
        fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


if sys.platform == "win32":
    _position = threading.Lock()  # threads share the position of a descriptor

    @contextlib.contextmanager
    def _moved(descriptor: int, at: int) -> Iterator[None]:
        with _position:
            former = os.lseek(descriptor, 0, os.SEEK_CUR)
            os.lseek(descriptor, at, os.SEEK_SET)
            try:
                yield
            finally:
                os.lseek(descriptor, former, os.SEEK_SET)

    def read_at(descriptor: int, size: int, at: int) -> bytes:
        """Read up to `size` bytes from position `at`."""
        with _moved(descriptor, at):
            return os.read(descriptor, size)

    def write_at(descriptor: int, data: bytes, at: int) -> int:
        """Write bytes to position `at`, and return how many were written."""
        with _moved(descriptor, at):
            return os.write(descriptor, data)

else:
    read_at, write_at = os.pread, os.pwrite


def share_blocks(source: int, target: int, start: int, end: int, shift: int) -> tuple[int, int]:
    """Let a part of a file have the same blocks on disk as a part of another one, where the file system can.

    That is btrfs, XFS and some others, for whole blocks; see ioctl_ficlonerange(2).

    Parameters
    ----------
    source, target : int
        Descriptors.
    start, end : int
        The part in the target.
    shift : int
        How much later it is in the source.

    Returns
    -------
    tuple of int
        Start and end of what was shared; both are `start` if nothing was. The rest is to be written.
    """
    if sys.platform != "linux":
        return start, start
    else:
        size = os.fstatvfs(source).f_bsize
        first = start + -start % size
        last = end if end + shift == os.fstat(source).st_size else end - end % size
        if shift % size or first >= last:
            return start, start
        try:
            fcntl.ioctl(target, _FICLONERANGE, struct.pack("=qQQQ", source, first + shift, last - first, first))
        except OSError:
            return start, start
        return first, last


def sync_folder(folder: str) -> None:
    """Flush the names in a folder to disk, where the system and the file system can; NTFS keeps a journal of them."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
                raise
        finally:
            os.close(descriptor)


def close_file(descriptor: int) -> None:
    """Close the file behind a descriptor whose owner will close the number: from here on it is the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def write_file(path: str, content: bytes, *, mode: int | None = None) -> None:
    """Write a file in one step, so that nothing reads half of it; behind a symbolic link, its target.

    Parameters
    ----------
    path : str
    content : bytes
    mode : int or None
        Its permissions; None for those of the file that it replaces, or else the usual ones.

    Raises
    ------
    OSError
        If it is not possible. A file that was there is as it was.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):  # such as /dev/null
        with open(path, "wb") as device:
            device.write(content)
        return
    folder, name = os.path.split(target)
    partial = os.path.join(folder, f".{name}.{os.getpid()}.partial")
    with contextlib.suppress(FileNotFoundError):
        mode = mode or os.stat(target).st_mode & 0o777
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)  # of a process that was killed
    try:
        with open(partial, "xb") as file:
            file.write(content)
        if mode is not None:
            os.chmod(partial, mode)
        replace(partial, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def replace(path: str, target: str) -> None:
    """Rename a file over another one, on Windows as soon as no program has either open.

    Raises
    ------
    OSError
        If it is not possible. Both files are as they were.
    """
    if sys.platform == "win32":
        replace_when_closed(path, target)
    else:
        os.replace(path, target)


def replace_when_closed(
    path: str, target: str, *, seconds: float = REPLACE_SECONDS, check: Callable[[], None] = lambda: None
) -> None:
    """Rename a file over another one, and try again for some seconds if the system denies it.

    Parameters
    ----------
    path, target : str
    seconds : float
    check : callable
        Called before every attempt; raises what ends them.

    Raises
    ------
    OSError
        If it is not possible. Both files are as they were.
    """
    deadline = time.monotonic() + seconds
    while True:
        check()
        try:
            os.replace(path, target)
        except PermissionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_STEP_SECONDS)
        else:
            return
