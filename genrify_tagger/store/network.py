"""Tell network file systems, on which SQLite's write-ahead log cannot work: it needs memory shared by all users."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "prl_fs", "smb", "smb3"}
    | {"smbfs", "vboxsf", "virtiofs", "vmhgfs"}
)


def is_network_folder(folder: str, *, mountinfo: str = "/proc/self/mountinfo") -> bool:
    """Tell whether `folder` lies on a network file system or one in user space (FUSE), as Linux names them.

    Where there is no `mountinfo`, the answer is no.
    """
    return is_network(_file_system(os.path.realpath(folder), mountinfo))


def _file_system(folder: str, mountinfo: str) -> str:
    """Return the type of the innermost mount that holds `folder`; of two on one place the later hides the former."""
    kind, longest = "", -1
    for point, candidate in mounts(mountinfo):
        inside = folder == point or folder.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            kind, longest = candidate, len(point)
    return kind


def is_network(kind: str) -> bool:
    """Tell whether a type of file system, as Linux names it, is one of a network or in user space."""
    return kind in NETWORK or kind.startswith("fuse")


def mounts(mountinfo: str = "/proc/self/mountinfo") -> list[tuple[str, str]]:
    """Return the mount points and their types of file system, in the order of mounting; none where Linux is not."""
    return [(mount.point, mount.kind) for mount in _table(mountinfo)]


def bound_to_themselves(mountinfo: str = "/proc/self/mountinfo") -> set[str]:
    """Return the mount points at which there is what would be there without the mount.

    systemd makes such mounts for the folders that a closed-in service may write to, for that service alone.
    """
    table = {mount.number: mount for mount in _table(mountinfo)}
    pairs = ((mount, table.get(mount.parent)) for mount in table.values())
    return {mount.point for mount, below in pairs if below is not None and _is_the_same(mount, below)}


class _Mount(NamedTuple):
    """A line of mountinfo: `root` is the folder of the file system `device` that is seen at `point`."""

    number: str
    parent: str
    device: str
    root: str
    point: str
    kind: str


def _table(mountinfo: str) -> list[_Mount]:
    try:
        with open(mountinfo, "rb") as file:
            lines = [os.fsdecode(line) for line in file]
    except OSError:
        return []
    halves = [(left.split(), right.split()) for left, dash, right in (line.partition(" - ") for line in lines) if dash]
    return [
        _Mount(left[0], left[1], left[2], root=_unescaped(left[3]), point=_unescaped(left[4]), kind=right[0])
        for left, right in halves
    ]


def _is_the_same(mount: _Mount, below: _Mount) -> bool:
    inside = mount.point[len(below.point.rstrip("/")) :]
    return mount.device == below.device and mount.root == (below.root.rstrip("/") + inside or "/")


def _unescaped(point: str) -> str:
    """Undo the kernel's octal escapes of blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), point)
