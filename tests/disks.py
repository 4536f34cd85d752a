"""File systems of other kinds, mounted for a test; without the rights skip on a user's machine and fail in CI."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import media

MAKERS = {"exfat": "mkfs.exfat", "btrfs": "mkfs.btrfs", "xfs": "mkfs.xfs"}
MEGABYTES = {"exfat": 64, "btrfs": 128, "xfs": 320}  # about the least that each can have


def allowed(*command: str | Path, why: str) -> str:
    """Run a command that needs rights; without them skip on a user's machine and fail in CI."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        assert not media.in_ci(), done.stderr
        pytest.skip(f"{why}: {done.stderr.strip()}")
    return done.stdout.strip()


def unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", place], check=False, capture_output=True)


@contextmanager
def mounted(place: Path, *options: str | Path) -> Iterator[None]:
    allowed("mount", *options, place, why="may not mount")
    try:
        yield
    finally:
        unmount(place)


@contextmanager
def disk(kind: str, folder: Path) -> Iterator[Path]:
    """Make a file system of a kind of MAKERS and mount it below `folder`; exFAT by FUSE."""
    maker = media.need(MAKERS[kind])
    image, place = folder / f"{kind}.img", folder / "disk"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(MEGABYTES[kind] << 20)
    allowed(maker, image, why=f"cannot make a file system of {kind}")
    device = allowed("losetup", "--find", "--show", image, why="no loop devices")
    try:
        if kind == "exfat":
            allowed(media.need("mount.exfat-fuse"), device, place, "-o", "rw", why="no FUSE")
        else:
            allowed("mount", "-t", kind, device, place, why=f"cannot mount {kind}")
        yield place
    finally:
        unmount(place)
        subprocess.run(["losetup", "--detach", device], check=False, capture_output=True)
