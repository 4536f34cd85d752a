"""Sounds that are no music: repeatable, of the level asked for, and different from one another."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

from genrify_tagger.training import synthetic


@pytest.mark.parametrize("name", synthetic.names()[:: synthetic.CLIPS_OF_A_KIND])
def test_a_name_is_always_the_same_sound(name):
    y = synthetic.make(name)
    assert y.shape == (4, 48000)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, synthetic.make(name))
    assert not np.array_equal(y, synthetic.make(name.replace("-00", "-01")))


def test_levels_span_from_faint_to_loud():
    levels = [20 * np.log10(np.sqrt(np.mean(synthetic.make(name) ** 2.0))) for name in synthetic.names()]
    assert min(levels) > synthetic.LEVELS[0] - 1
    assert max(levels) < synthetic.LEVELS[1] + 1
    assert max(levels) - min(levels) > 40


@pytest.mark.parametrize("name", synthetic.names()[:: synthetic.CLIPS_OF_A_KIND])
def test_a_medley_has_every_level_of_many_sounds(name):
    y = synthetic.make_varied(name)
    np.testing.assert_array_equal(y, synthetic.make_varied(name))
    levels = np.sort(20 * np.log10(np.sqrt(np.mean(np.square(y, dtype=np.float64), axis=1))))
    assert levels[0] < -50 and levels[-1] > -15  # clipping takes a little of the loudest
    assert np.diff(levels).max() < 2 * (synthetic.LEVELS[1] - synthetic.LEVELS[0]) / synthetic.N_VARIED + 3
    assert len({segment.tobytes() for segment in y}) == len(y) == synthetic.N_VARIED


def test_names_are_told_apart():
    names = synthetic.names()
    assert len(set(names)) == len(names) == len(synthetic.KINDS) * synthetic.CLIPS_OF_A_KIND
    assert {synthetic.kind_of(name) for name in names} == set(synthetic.KINDS)
    assert doctest.testmod(synthetic).failed == 0
