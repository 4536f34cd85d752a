"""Check whether a file could be written, and if not, why: before every write and in every dry run.

Nothing but chmod on FUSE is tried out, and no temporary file is created. What only the write itself can find out (a
disk error, an exhausted quota) still ends it with nothing changed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Literal

from genrify_tagger.errors import TagError, WriteRefusedError
from genrify_tagger.files import real_path
from genrify_tagger.mounts import file_system_type
from genrify_tagger.tags.file_attributes import Ownership, chmod_refusal
from genrify_tagger.tags.inplace import backup_path, check_backup_is_free
from genrify_tagger.tags.model import WritePlan
from genrify_tagger.tags.tempfiles import HAS_LOCKS

try:
    import fcntl
    import resource
except ImportError:  # pragma: no cover
    CAN_ASK_KERNEL = False
else:
    CAN_ASK_KERNEL = True

Hardlinks = Literal["refuse", "break", "in-place"]

_GET_FLAGS = 0x80086601  # FS_IOC_GETFLAGS on 64-bit Linux
_IMMUTABLE, _APPEND_ONLY = 0x10, 0x20
_CAP_CHOWN, _CAP_FOWNER = 0, 3
# File systems on which the mount options set the owner of all files, including new ones.
_MOUNT_GIVES_OWNER = {"vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "cifs", "smb3", "9p", "hfs"}
_NEW_FILE_MODE = 0o600  # of a temporary file
_SPARE = 1 << 16  # bytes for the folder's own entries

_OS_ERRORS = {
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "there is no space left on the file system",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "there is no permission to write in the file's folder",
    errno.EPERM: "the system does not allow the file to be replaced",
    errno.EIO: "the disk reports an error",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.ENOENT: "the file is gone",
    errno.ELOOP: "the file was replaced by a symbolic link",
}


def describe_os_error(error: OSError) -> str:
    """Return the message for an operating system error during a write."""
    return _OS_ERRORS.get(error.errno or 0, error.strerror or str(error))


def write_refusal(
    plan: WritePlan,
    *,
    hardlinks: Hardlinks = "refuse",
    ownership: Ownership = "require",
    backup_dir: str | None = None,
) -> TagError | None:
    """Return why a plan could not be carried out; None if it could.

    Parameters
    ----------
    plan : WritePlan
        From `plan_write` or `plan_restore`.
    hardlinks, ownership, backup_dir
        As for `apply`.
    """
    if not plan.changes:
        return None
    try:
        _check(plan, hardlinks, ownership, backup_dir)
    except TagError as error:
        error.path = error.path or plan.path
        return error
    except OSError as error:
        refusal = WriteRefusedError(describe_os_error(error), path=plan.path)
        refusal.__cause__ = error  # so that the caller can find out whether it may pass by itself
        return refusal
    return None


def in_place_refusal(path: str) -> TagError | None:
    """Return why another program could not write a file in place; None if it could."""
    try:
        target = real_path(path)
        _check_flags(target, "the file")
        _check_permission(target)
    except TagError as error:
        error.path = path
        return error
    except OSError as error:
        return WriteRefusedError(describe_os_error(error), path=path)
    return None


def must_write_in_place(status: os.stat_result, hardlinks: Hardlinks) -> bool:
    """Return whether a file has several names and must keep them, so that it cannot be replaced."""
    return status.st_nlink > 1 and hardlinks == "in-place"


def _check(plan: WritePlan, hardlinks: Hardlinks, ownership: Ownership, backup_dir: str | None) -> None:
    if not HAS_LOCKS:
        raise WriteRefusedError("files can be changed safely on Linux and macOS only")
    status = os.stat(plan.target)
    folder = os.path.dirname(plan.target)
    in_place = must_write_in_place(status, hardlinks)
    # Replacing a file needs no permission on the file itself, and root may do anything; the mode is respected anyway.
    if not status.st_mode & stat.S_IWUSR:
        raise WriteRefusedError("the file is read-only", hint="make it writable (chmod u+w) to have it tagged")
    _check_flags(plan.target, "the file")
    _check_permission(plan.target)
    if status.st_nlink > 1 and hardlinks == "refuse":
        raise WriteRefusedError(
            f"the file has {status.st_nlink} names (hard links)", hint='set tagging.hardlinks to "break" or "in-place"'
        )
    _check_folder(folder)
    if in_place:
        backup = backup_path(plan, backup_dir=backup_dir)
        check_backup_is_free(backup)
        _check_folder(os.path.dirname(backup))
    else:
        _check_sticky(status, os.stat(folder))
        if ownership == "require":
            _check_owner(status, folder)
            _check_mode(status, folder)
    _check_room(plan, folder, in_place=in_place)


def _check_permission(path: str) -> None:
    if not os.access(path, os.W_OK):
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        raise WriteRefusedError("there is no permission to change the file")


def _check_folder(folder: str) -> None:
    _check_flags(folder, "the file's folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _check_flags(path: str, what: str) -> None:
    """Refuse what has the attributes "immutable" or "append only" (`chattr +i`, `+a`), which bind root as well."""
    if not CAN_ASK_KERNEL:
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
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


def _check_room(plan: WritePlan, folder: str, *, in_place: bool) -> None:
    """Refuse what does not fit beside the original: a new file, and for a write in place a full copy as well."""
    growth = sum(len(edit.new) - (edit.end - edit.start) for edit in plan.edits)
    size = plan.stat.size + growth
    if CAN_ASK_KERNEL:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY and size > limit:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    system = os.statvfs(folder)
    if not system.f_blocks:
        return  # a file system that does not report its free space
    free = (system.f_bfree if os.geteuid() == 0 else system.f_bavail) * system.f_frsize
    needed = size + (plan.stat.size + max(growth, 0) if in_place else 0)
    if free < needed or (system.f_files and not system.f_ffree):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_capable(capability: int) -> bool:
    """Return whether this process has one of root's capabilities."""
    try:
        with open("/proc/self/status", "rb") as file:
            effective = next(line for line in file if line.startswith(b"CapEff:"))
        return bool(int(effective.split()[1], 16) >> capability & 1)
    except (OSError, StopIteration, ValueError):
        return os.geteuid() == 0
