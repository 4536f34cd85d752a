"""The mount table of Linux: which file systems are mounted where, and of which type.

Everything here is read from ``/proc/self/mountinfo`` (see proc_pid_mountinfo(5)); if that does not exist, nothing
counts as mounted.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import NamedTuple

from genrify_tagger.files import is_inside

MOUNTINFO = "/proc/self/mountinfo"
VALID_SECONDS = 1.0  # for which `MountTable` does not read the table again
NETWORK_TYPES = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb", "smb3"}
    | {"smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)


class _Mount(NamedTuple):
    """One line of mountinfo: folder `root` of the file system on `device` is visible at `point`."""

    number: str
    parent: str
    device: str
    root: str
    point: str
    type: str


def mount_types(*, mountinfo: str = MOUNTINFO) -> dict[str, str]:
    """Return the file system type at each mount point; the last mount on a point hides earlier ones."""
    return {mount.point: mount.type for mount in _read_mounts(mountinfo)}


def is_network_type(name: str) -> bool:
    """Return whether a file system type is a network file system or one in user space (FUSE)."""
    return name in NETWORK_TYPES or name.startswith("fuse")


def file_system_type(path: str, *, mountinfo: str = MOUNTINFO) -> str:
    """Return the type of the file system that holds a path; "" if it is not in the mount table."""
    return _type_at(os.path.realpath(path), mount_types(mountinfo=mountinfo))


def is_network_folder(folder: str, *, mountinfo: str = MOUNTINFO) -> bool:
    """Return whether `folder` is on a network file system or on one in user space (FUSE)."""
    return is_network_type(file_system_type(folder, mountinfo=mountinfo))


def network_folders(folder: str, *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return the folder (a real path) if it is on a network file system, else the network mount points inside it."""
    types = mount_types(mountinfo=mountinfo)
    if is_network_type(_type_at(folder, types)):
        return [folder]
    found = sorted(point for point, type_ in types.items() if is_inside(point, [folder]) and is_network_type(type_))
    return [point for point in found if not is_inside(point, [other for other in found if other != point])]


def related_mounts(folder: str, *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return the mount points without which files in `folder` (a real path) would be unreachable.

    Those are the ones above and below it, without the root file system and without `self_bind_mounts`.
    """
    points = {point for point in mount_types(mountinfo=mountinfo) if _are_related(point, folder)}
    return sorted(points - self_bind_mounts(mountinfo=mountinfo) - {"/"})


def configured_mounts(folder: str, *, fstab: str = "/etc/fstab") -> list[str]:
    """Return the mount points above and below a folder that ``/etc/fstab`` mounts at boot."""
    try:
        with open(fstab, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return []
    at_boot = [fields for fields in lines if len(fields) > 3 and "noauto" not in fields[3].split(",")]
    points = {os.path.normpath(_unescape(fields[1])) for fields in at_boot}
    return sorted(point for point in points if point.startswith("/") and point != "/" and _are_related(point, folder))


def unmounted(expected: Iterable[str], *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return the `expected` mount points at which nothing is mounted now; none without a mount table."""
    present = mount_types(mountinfo=mountinfo)
    return sorted(point for point in expected if point not in present) if present else []


class MountTable:
    """The mount table, read again at most once a second.

    Parameters
    ----------
    mountinfo : str
        Path of the table.
    """

    def __init__(self, *, mountinfo: str = MOUNTINFO) -> None:
        self._mountinfo = mountinfo
        self._read_at = float("-inf")
        self._mounts: list[_Mount] = []

    def other_paths(self, path: str) -> list[str]:
        """Return the other paths under which a file or folder (a real path) is visible: bind mounts and the like."""
        self._refresh()
        own = max((mount for mount in self._mounts if is_inside(path, [mount.point])), key=_depth, default=None)
        if own is None:
            return []
        inside = _joined(own.root, _rest(path, own.point))  # within the file system
        others = [mount for mount in self._mounts if mount.device == own.device and is_inside(inside, [mount.root])]
        found = [_joined(mount.point, _rest(inside, mount.root)) for mount in others]
        # Something else may be mounted over it, or the table be out of date.
        return [other for other in dict.fromkeys(found) if other != path and _is_same(other, path)]

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._read_at > VALID_SECONDS:
            self._mounts, self._read_at = list(reversed(_read_mounts(self._mountinfo))), now


def _depth(mount: _Mount) -> int:
    return len(mount.point)


def _rest(path: str, folder: str) -> str:
    return path[len(folder.rstrip("/")) :].lstrip("/")


def _joined(folder: str, rest: str) -> str:
    return os.path.join(folder, rest) if rest else folder


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _type_at(folder: str, types: dict[str, str]) -> str:
    """Return the type of the innermost mount that holds a folder; "" if none does."""
    return types.get(max((point for point in types if is_inside(folder, [point])), key=len, default=""), "")


def _are_related(point: str, folder: str) -> bool:
    return is_inside(folder, [point]) or is_inside(point, [folder])


def self_bind_mounts(*, mountinfo: str = MOUNTINFO) -> set[str]:
    """Return the mount points that show the same files that would be visible without the mount.

    systemd makes such mounts for the folders that a sandboxed service may write to.
    """
    by_number = {mount.number: mount for mount in _read_mounts(mountinfo)}
    pairs = ((mount, by_number.get(mount.parent)) for mount in by_number.values())
    return {mount.point for mount, parent in pairs if parent is not None and _shows_the_same(mount, parent)}


def _read_mounts(mountinfo: str) -> list[_Mount]:
    """Return the mounts in the order in which they were made."""
    try:
        with open(mountinfo, "rb") as file:
            lines = [os.fsdecode(line) for line in file]
    except OSError:
        return []
    halves = [(left.split(), right.split()) for left, dash, right in (line.partition(" - ") for line in lines) if dash]
    return [
        _Mount(left[0], left[1], left[2], root=_unescape(left[3]), point=_unescape(left[4]), type=right[0])
        for left, right in halves
    ]


def _shows_the_same(mount: _Mount, parent: _Mount) -> bool:
    inside = mount.point[len(parent.point.rstrip("/")) :]
    return mount.device == parent.device and mount.root == (parent.root.rstrip("/") + inside or "/")


def _unescape(point: str) -> str:
    """Decode the octal escapes with which the kernel writes blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
