"""A short storm; the long one is in tests/torture."""

import random

import pytest

from tests.storm import World
from tests.weathering import weather


@pytest.mark.parametrize("seed", [20])
def test_a_short_storm(program, tmp_path, seed):
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
    world = World(roots, random.Random(seed), voices=400)
    weather(program, world, steps=300, seconds=9, kills=2)
    assert world.done["create"] > 40 and world.done["rename"] > 15
