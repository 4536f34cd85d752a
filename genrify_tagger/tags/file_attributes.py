"""Copy owner, group, mode, ACLs, extended attributes and times from the old file to the new one."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import Literal

from genrify_tagger.errors import WriteRefusedError

if sys.platform == "win32":
    from genrify_tagger import windows_api

Ownership = Literal["require", "best-effort"]
_NOT_HERE = {errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOSYS}


def copy_attributes(source: int, target: int, *, paths: tuple[str, str], ownership: Ownership) -> None:
    """Copy everything but content and times from one open file to another.

    Parameters
    ----------
    source, target : int
        Descriptors.
    paths : tuple of (str, str)
        Of the same two files, for systems whose calls take paths.
    ownership : str
        "require" refuses if something cannot be kept, "best-effort" goes on without it.

    Raises
    ------
    WriteRefusedError
        If owner, group, mode, an ACL or an attribute cannot be kept.
    """
    must = ownership == "require"
    if sys.platform == "win32":
        _copy_permissions(*paths, must=must)
    else:
        wanted = os.fstat(source)
        _copy_owner(wanted, target, must=must)
        # Last, since a change of owner clears bits of the mode; the ACL's mask is part of the mode and agrees with it.
        _copy_xattrs(source, target, must=must)
        _copy_mode(wanted, target, must=must)
        if must and stat.S_IMODE(os.fstat(target).st_mode) != stat.S_IMODE(wanted.st_mode):
            raise WriteRefusedError("the file's mode cannot be kept", hint='set tagging.ownership = "best-effort"')


def chmod_refusal(mode: int) -> WriteRefusedError:
    """Return the error for a file system on which a new file cannot get the original's mode."""
    return WriteRefusedError(
        f"the file's mode ({mode:04o}) cannot be kept: the file system does not allow chmod",
        hint='set tagging.ownership = "best-effort"',
    )


if sys.platform == "win32":

    def _copy_permissions(source: str, target: str, *, must: bool) -> None:
        """Copy a file's own access control list; where it has the folder's, the new file has it already."""
        try:
            wanted = windows_api.permissions(source)
            if windows_api.permissions(target) != wanted:
                windows_api.set_permissions(target, wanted)
        except OSError as error:
            if must:
                raise WriteRefusedError(
                    f"the file's permissions cannot be kept: {error.strerror or error}",
                    hint='set tagging.ownership = "best-effort"',
                ) from error

else:

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


if sys.platform == "linux":

    def _copy_xattrs(source: int, target: int, *, must: bool) -> None:
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

else:

    def _copy_xattrs(source: int, target: int, *, must: bool) -> None:
        """Do nothing: Python has no functions for extended attributes here."""


def copy_times(source: os.stat_result, target: int) -> None:
    """Give an open file the access and modification time of another."""
    if sys.platform == "win32":
        windows_api.set_times(target, accessed_ns=source.st_atime_ns, modified_ns=source.st_mtime_ns)
    else:
        os.utime(target, ns=(source.st_atime_ns, source.st_mtime_ns))
