"""Non-musical sounds: reproducible, of the requested level, and different from one another."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import synthetic_sounds


@pytest.mark.parametrize("name", synthetic_sounds.sound_names()[:: synthetic_sounds.CLIPS_OF_A_KIND])
def test_a_name_is_always_the_same_sound(name):
    y = synthetic_sounds.make_sound(name)
    assert y.shape == (4, 48000)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, synthetic_sounds.make_sound(name))
    assert not np.array_equal(y, synthetic_sounds.make_sound(name.replace("-00", "-01")))


def test_levels_span_from_faint_to_loud():
    levels = [
        20 * np.log10(np.sqrt(np.mean(synthetic_sounds.make_sound(name) ** 2.0)))
        for name in synthetic_sounds.sound_names()
    ]
    assert min(levels) > synthetic_sounds.LEVELS[0] - 1
    assert max(levels) < synthetic_sounds.LEVELS[1] + 1
    assert max(levels) - min(levels) > 40


@pytest.mark.parametrize("name", synthetic_sounds.sound_names()[:: synthetic_sounds.CLIPS_OF_A_KIND])
def test_a_medley_has_every_level_of_many_sounds(name):
    y = synthetic_sounds.make_medley(name)
    np.testing.assert_array_equal(y, synthetic_sounds.make_medley(name))
    levels = np.sort(20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64), axis=1))))
    assert levels[0] < -50 and levels[-1] > -15  # clipping takes a little of the loudest
    assert (
        np.diff(levels).max()
        < 2 * (synthetic_sounds.LEVELS[1] - synthetic_sounds.LEVELS[0]) / synthetic_sounds.MEDLEY_SEGMENTS + 3
    )
    assert len({segment.tobytes() for segment in y}) == len(y) == synthetic_sounds.MEDLEY_SEGMENTS


def test_names_have_kinds():
    names = synthetic_sounds.sound_names()
    assert len(set(names)) == len(names) == len(synthetic_sounds.KINDS) * synthetic_sounds.CLIPS_OF_A_KIND
    assert {synthetic_sounds.kind_of(name) for name in names} == set(synthetic_sounds.KINDS)
    assert doctest.testmod(synthetic_sounds).failed == 0
