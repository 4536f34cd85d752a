"""Check whether a file could be written, and if not, why: before every write and in every dry run.

Nothing but chmod on FUSE is tried out, and no temporary file is created. What only the write itself can find out (a
disk error, an exhausted quota) still ends it with nothing changed.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from typing import Literal

from genrify_tagger.errors import TagError, WriteRefusedError
from genrify_tagger.files import real_path
from genrify_tagger.tags.file_attributes import Ownership
from genrify_tagger.tags.inplace import backup_path, check_backup_is_free
from genrify_tagger.tags.model import WritePlan

if sys.platform != "win32":
    from genrify_tagger.tags import posix_permissions

Hardlinks = Literal["refuse", "break", "in-place"]

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
    status = os.stat(plan.target)
    folder = os.path.dirname(plan.target)
    in_place = must_write_in_place(status, hardlinks)
    # Replacing a file needs no permission on the file itself, and root may do anything; the mode is respected anyway.
    if not status.st_mode & stat.S_IWUSR:
        way = "attrib -r" if sys.platform == "win32" else "chmod u+w"
        raise WriteRefusedError("the file is read-only", hint=f"make it writable ({way}) to have it tagged")
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
        if sys.platform != "win32":
            posix_permissions.check_replacement(status, folder, keep=ownership == "require")
    _check_room(plan, folder, in_place=in_place)


def _check_permission(path: str) -> None:
    if sys.platform != "win32":
        posix_permissions.check_flags(path, "the file")
    if not os.access(path, os.W_OK):
        if sys.platform != "win32":
            posix_permissions.check_file_system(path)
        raise WriteRefusedError("there is no permission to change the file")


def _check_folder(folder: str) -> None:
    if sys.platform != "win32":
        posix_permissions.check_flags(folder, "the file's folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def _check_room(plan: WritePlan, folder: str, *, in_place: bool) -> None:
    """Refuse what does not fit beside the original: a new file, and for a write in place a full copy as well."""
    growth = sum(len(edit.new) - (edit.end - edit.start) for edit in plan.edits)
    size = plan.stat.size + growth
    needed = size + (plan.stat.size + max(growth, 0) if in_place else 0)
    if sys.platform != "win32":
        posix_permissions.check_file_size(size)
        has_room = posix_permissions.has_room(folder, needed)
    else:
        has_room = shutil.disk_usage(folder).free >= needed
    if not has_room:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
