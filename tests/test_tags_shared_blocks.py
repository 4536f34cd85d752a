"""On btrfs and XFS a new file shares the blocks of the old one, and with it those of snapshots."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from genrify_tagger import tags
from tests import media, tagging
from tests.disks import disk


@pytest.fixture(scope="module", params=["btrfs", "xfs"])
def folder(request, tmp_path_factory):
    with disk(request.param, tmp_path_factory.mktemp(request.param)) as mounted:
        yield mounted


def extents(path: Path) -> list[str]:
    """Return the lines of filefrag about each extent: where it is, and what is special about it."""
    subprocess.run(["sync", "-f", path], check=True)
    told = subprocess.run([media.need("filefrag"), "-v", path], capture_output=True, text=True, check=True).stdout
    return [line for line in told.splitlines() if line.split(":")[0].strip().isdigit()]


def write(path: Path, plan: tags.WritePlan) -> None:
    tags.apply(plan, audio_key=lambda _: "same", expected_key="same")


@pytest.mark.parametrize("kind", media.KINDS)
def test_a_write_is_the_same_as_elsewhere(folder, tmp_path, kind):
    here, there = media.make(kind, folder / kind), media.make(kind, tmp_path)
    for path in (here, there):
        write(path, tags.plan_write(str(path), ("Jazz",)))
        assert tagging.genres(path) == ("Jazz",)
    assert here.read_bytes() == there.read_bytes()


@pytest.mark.parametrize("kind", ["flac", "m4a-aac"])  # whose tags have room for a genre
def test_a_new_file_shares_the_blocks_of_the_former(folder, kind):
    path = media.make(kind, folder / kind, "song")
    snapshot = path.with_name("snapshot")
    subprocess.run(["cp", "--reflink=always", path, snapshot], check=True)
    write(path, tags.plan_write(str(path), ("Jazz",)))
    shared = [line for line in extents(path) if "shared" in line]
    assert shared
    assert snapshot.read_bytes() == media.master(kind).read_bytes()
