"""A day in fast motion: 20,000 changes of files while the service is killed and disks vanish."""

import os
import random
import subprocess

import pytest

from tests import media
from tests.storm import World
from tests.weathering import weather


@pytest.mark.torture
def test_a_day_in_fast_motion(program, tmp_path):
    steps = int(os.environ.get("GENRIFY_TEST_STORM", "20000"))
    seed = int(os.environ.get("GENRIFY_TEST_SEED", "24"))
    roots = [tmp_path / "one", tmp_path / "two"]
    disk, source = tmp_path / "disk", tmp_path / "source"
    for folder in (*roots, disk, source):
        folder.mkdir()
    mounted = subprocess.run(["mount", "--bind", source, disk], capture_output=True, check=False).returncode == 0
    if not mounted and media.in_ci():
        pytest.fail("may not mount in CI")
    world = World(roots, random.Random(seed), mount=disk if mounted else None)
    try:
        weather(
            program,
            world,
            steps=steps,
            seconds=steps / 25,
            kills=steps // 500,
            source=source if mounted else None,
            losses=steps // 1000,
        )
    finally:
        subprocess.run(["umount", "--lazy", disk], capture_output=True, check=False)
    print(world.done)
