"""Copy owner, group, mode, ACLs, extended attributes and times from the old file to the new one."""

from __future__ import annotations

import errno
import os
import stat
from typing import Literal

from genrify_tagger.errors import WriteRefusedError

Ownership = Literal["require", "best-effort"]
_NOT_HERE = {errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS}


def copy_attributes(source: int, target: int, *, ownership: Ownership) -> None:
    """Copy everything but content and times from one open file to another.

    Parameters
    ----------
    source, target : int
        Descriptors.
    ownership : str
        "require" refuses if something cannot be kept, "best-effort" goes on without it.

    Raises
    ------
    WriteRefusedError
        If owner, group, mode, an ACL or an attribute cannot be kept.
    """
    must = ownership == "require"
    wanted = os.fstat(source)
    _copy_owner(wanted, target, must=must)
    # Last, since a change of owner clears bits of the mode; the ACL's mask is part of the mode and agrees with it.
    _copy_xattrs(source, target, must=must)
    _copy_mode(wanted, target, must=must)
    if must and stat.S_IMODE(os.fstat(target).st_mode) != stat.S_IMODE(wanted.st_mode):
        raise WriteRefusedError("the file's mode cannot be kept", hint='set tagging.ownership = "best-effort"')


def _copy_owner(wanted: os.stat_result, target: int, *, must: bool) -> None:
    for owner, group in ((wanted.st_uid, wanted.st_gid), (-1, wanted.st_gid)):
        now = os.fstat(target)
        if (now.st_uid, now.st_gid) == (wanted.st_uid, wanted.st_gid):
            return
        try:
            os.fchown(target, owner, group)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            if must:
                raise WriteRefusedError(
                    "the file belongs to another user or group, which cannot be kept",
                    hint='run as its owner, or set tagging.ownership = "best-effort"',
                ) from error


def _copy_mode(wanted: os.stat_result, target: int, *, must: bool) -> None:
    mode = stat.S_IMODE(wanted.st_mode)
    if stat.S_IMODE(os.fstat(target).st_mode) == mode:
        return
    try:
        os.fchmod(target, mode)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        if must:
            raise chmod_refusal(mode) from error


def chmod_refusal(mode: int) -> WriteRefusedError:
    """Return the error for a file system on which a new file cannot get the original's mode."""
    return WriteRefusedError(
        f"the file's mode ({mode:04o}) cannot be kept: the file system does not allow chmod",
        hint='set tagging.ownership = "best-effort"',
    )


def _copy_xattrs(source: int, target: int, *, must: bool) -> None:
    if not hasattr(os, "listxattr"):
        return
    wanted, present = _xattrs(source), _xattrs(target)
    for name in present.keys() - wanted.keys():
        # Such as an ACL that the folder's default ACL gave the new file.
        _try(lambda name=name: os.removexattr(target, name), name, must=must)
    for name, value in wanted.items():
        if present.get(name) != value:
            _try(lambda name=name, value=value: os.setxattr(target, name, value), name, must=must)


def _xattrs(descriptor: int) -> dict[str, bytes]:
    try:
        return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EINVAL, errno.ENODATA):
            return {}
        raise


def _try(change: object, name: str, *, must: bool) -> None:
    try:
        change()  # type: ignore[operator]
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
        # Labels of security modules are set by their own policy.
        if must and not name.startswith(("security.", "trusted.")):
            raise WriteRefusedError(
                f"the file's attribute {name} cannot be kept", hint='set tagging.ownership = "best-effort"'
            ) from error


def copy_times(source: os.stat_result, target: int) -> None:
    """Give an open file the access and modification time of another."""
    os.utime(target, ns=(source.st_atime_ns, source.st_mtime_ns))
