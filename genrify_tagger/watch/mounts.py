"""Which file systems are mounted where the music is, and which are not though they should be."""

from __future__ import annotations

import os
from collections.abc import Iterable

from genrify_tagger.pipeline import is_inside
from genrify_tagger.store.network import bound_to_themselves, is_network, mounts

MOUNTINFO = "/proc/self/mountinfo"


def mount_points(folder: str, *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return the mount points on the way to a folder (a real path) and below it, without that of the system itself.

    Without those, too, that show what would be there anyway: their absence takes no file out of reach.
    """
    points = {point for point, _ in mounts(mountinfo) if is_inside(folder, [point]) or is_inside(point, [folder])}
    return sorted(points - bound_to_themselves(mountinfo) - {"/"})


def network_folders(folder: str, *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return where changes have to be looked for: the folder itself, or mount points of network file systems below."""
    kinds = dict(mounts(mountinfo))  # of two on one place the later hides the former
    holding = max((point for point in kinds if is_inside(folder, [point])), key=len, default="")
    if is_network(kinds.get(holding, "")):
        return [folder]
    found = sorted(point for point, kind in kinds.items() if is_inside(point, [folder]) and is_network(kind))
    return [point for point in found if not is_inside(point, [other for other in found if other != point])]


def unmounted(expected: Iterable[str], *, mountinfo: str = MOUNTINFO) -> list[str]:
    """Return those of `expected` that are no mount points now."""
    present = {point for point, _ in mounts(mountinfo)}
    return sorted(point for point in expected if point not in present) if present else []


def fixed_mounts(folder: str, fstab: str = "/etc/fstab") -> list[str]:
    """Return the mount points on the way to a folder or below it that the system is set up to have."""
    try:
        with open(fstab, encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split() for line in file if not line.lstrip().startswith("#")]
    except OSError:
        return []
    always = [part for part in fields if len(part) > 3 and "noauto" not in part[3].split(",")]
    points = {os.path.normpath(part[1].replace("\\040", " ")) for part in always}
    related = {p for p in points if p.startswith("/") and (is_inside(folder, [p]) or is_inside(p, [folder]))}
    return sorted(related - {"/"})
