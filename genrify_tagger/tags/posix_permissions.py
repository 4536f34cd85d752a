"""Check what POSIX systems allow: attributes, owners, modes, limits and free space. Not to be imported on Windows."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
import sys

from genrify_tagger import open_files
from genrify_tagger.errors import WriteRefusedError
from genrify_tagger.mounts import file_system_type
from genrify_tagger.tags.file_attributes import chmod_refusal

assert sys.platform != "win32"  # so that it is not type-checked for Windows

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS on 64-bit Linux
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
_CAP_CHOWN, _CAP_FOWNER = 0, 3
# File systems on which the mount options set the owner of all files, including new ones.
_MOUNT_GIVES_OWNER = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "9p", "hfs"}
_NEW_FILE_MODE = 0o600  # of a temporary file


def check_replacement(file: os.stat_result, folder: str, *, keep: bool) -> None:
    """Refuse a file that this process may not replace, or not with its owner and mode (`keep`).

    Raises
    ------
    OSError, WriteRefusedError
    """
    _check_sticky(file, os.stat(folder))
    if keep:
        _check_owner(file, folder)
        _check_mode(file, folder)


def check_file_system(path: str) -> None:
    """Refuse a file on a read-only file system.

    Raises
    ------
    OSError
    """
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def check_file_size(size: int) -> None:
    """Refuse a file larger than this process may write.

    Raises
    ------
    OSError
    """
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY and size > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def has_room(folder: str, needed: int) -> bool:
    """Return whether a new file of `needed` bytes fits on the file system of a folder."""
    system = os.statvfs(folder)
    if not system.f_blocks:
        return True  # a file system that does not report its free space
    free = (system.f_bfree if os.geteuid() == 0 else system.f_bavail) * system.f_frsize
    return free >= needed and not (system.f_files and not system.f_ffree)


def check_flags(path: str, what: str) -> None:
    """Refuse what has the attributes "immutable" or "append only" (`chattr +i`, `+a`), which bind root as well."""
    try:
        descriptor = os.open(path, open_files.READ | open_files.NO_FOLLOW)
    except OSError:
        return
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
    except OSError:  # a file system without such attributes
        return
    finally:
        os.close(descriptor)
    flags = int.from_bytes(answer[:4], "little")
    if flags & (_IMMUTABLE | _APPEND_ONLY):
        name, letter = ("immutable", "i") if flags & _IMMUTABLE else ("append-only", "a")
        raise WriteRefusedError(f"{what} is {name}", hint=f"chattr -{letter} makes it writable")


def _check_sticky(file: os.stat_result, folder: os.stat_result) -> None:
    """Refuse a file of another user in a folder where only owners may replace files."""
    if not folder.st_mode & stat.S_ISVTX or _is_capable(_CAP_FOWNER):
        return
    if os.geteuid() not in (file.st_uid, folder.st_uid):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def _check_owner(file: os.stat_result, folder: str) -> None:
    """Refuse a file whose owner and group a new file could not have."""
    if _is_capable(_CAP_CHOWN):
        return
    folder_status = os.stat(folder)
    inherited = folder_status.st_gid if folder_status.st_mode & stat.S_ISGID else os.getegid()
    keeps_group = file.st_gid in {inherited, os.getegid(), *os.getgroups()}
    if file.st_uid == os.geteuid() and keeps_group:
        return
    kind = file_system_type(folder)
    if kind not in _MOUNT_GIVES_OWNER and not kind.startswith("fuse."):
        raise WriteRefusedError(
            "the file belongs to another user or group, which cannot be kept",
            hint='run as its owner, or set tagging.ownership = "best-effort"',
        )


def _check_mode(file: os.stat_result, folder: str) -> None:
    """Refuse a mode that a new file could not get: whether a FUSE file system allows chmod, only a chmod tells.

    The folder gets the mode that it has.
    """
    mode, folder_status = stat.S_IMODE(file.st_mode), os.stat(folder)
    may_try = os.geteuid() == folder_status.st_uid or _is_capable(_CAP_FOWNER)
    if mode == _NEW_FILE_MODE or not may_try or not file_system_type(folder).startswith("fuse"):
        return
    try:
        os.chmod(folder, stat.S_IMODE(folder_status.st_mode))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS):
            raise chmod_refusal(mode) from error
        raise


def _is_capable(capability: int) -> bool:
    """Return whether this process has one of root's capabilities."""
    try:
        with open("/proc/self/status", "rb") as file:
            effective = next(line for line in file if line.startswith(b"CapEff:"))
        return bool(int(effective.split()[1], 16) >> capability & 1)
    except (OSError, StopIteration, ValueError):
        return os.geteuid() == 0
