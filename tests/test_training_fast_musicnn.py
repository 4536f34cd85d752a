"""The fast form equals the published form, whatever the weights; shown on random ones, dead filters among them."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

pytest.importorskip("keras")

from genrify_tagger.training import fast_musicnn, musicnn_weights
from network_checks import agreement
from published_networks import build_fast_musicnn, build_published_musicnn

KERNELS = {
    "conv2d": (7, 38, 1, 204),
    "conv2d_1": (7, 67, 1, 204),
    "conv2d_2": (128, 1, 1, 51),
    "conv2d_3": (64, 1, 1, 51),
    "conv2d_4": (32, 1, 1, 51),
    "conv2d_5": (7, 561, 1, 64),
    "conv2d_6": (7, 64, 1, 64),
    "conv2d_7": (7, 64, 1, 64),
    "dense": (1506, 200),
    "dense_1": (200, 50),
}
NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)


def random_weights() -> dict[str, np.ndarray]:
    """Random weights of the published shapes: most front-end filters are zero, and half the scales negative."""
    rng = np.random.default_rng(0)
    made = {}
    for number, (name, shape) in enumerate(KERNELS.items()):
        kernel = rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        if number < 5:
            kernel[..., rng.random(shape[-1]) < 0.8] = 0
        made[f"{name}/kernel"] = kernel
        made[f"{name}/bias"] = rng.normal(size=shape[-1]) * 0.3
    for number, size in enumerate(NORMS):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        made[f"{name}/gamma"] = rng.normal(size=size)
        made[f"{name}/beta"] = rng.normal(size=size)
        made[f"{name}/moving_mean"] = rng.normal(size=size) * 0.1
        made[f"{name}/moving_variance"] = rng.random(size) + 0.1
    return {name: np.asarray(values, np.float32) for name, values in made.items()}


@pytest.fixture(scope="module")
def weights():
    return random_weights()


@pytest.fixture(scope="module")
def mel():
    return (np.random.default_rng(1).random((3, 187, 96)) * 3).astype(np.float32)


def test_the_fast_form_equals_the_published_one(weights, mel):
    expected = build_published_musicnn(weights).predict_on_batch(mel)
    got = build_fast_musicnn(weights).predict_on_batch(mel)
    for name in ("embedding", "tags"):
        r2, _ = agreement(expected[name], got[name])
        assert r2 > 0.999999, name
    np.testing.assert_allclose(got["tags"], expected["tags"], atol=1e-4)


def test_the_weights_matter(weights, mel):
    """The agreement above is no accident of everything being constant."""
    broken = dict(weights)
    broken["conv2d_5/kernel"] = weights["conv2d_5/kernel"][::-1]
    expected = build_fast_musicnn(weights).predict_on_batch(mel)["embedding"]
    assert agreement(expected, build_fast_musicnn(broken).predict_on_batch(mel)["embedding"])[0] < 0.99


def test_only_living_filters_are_kept(weights):
    front = fast_musicnn.split_dead_filters(weights, 0)
    n_alive = int((np.abs(weights["conv2d/kernel"]).sum(axis=(0, 1, 2)) > 0).sum())
    assert front.kernel.shape == (7, 38, n_alive)
    assert 0 < n_alive < 80
    assert (front.constants[front.alive] == 0).all()
    scale, shift = musicnn_weights.affine(weights, 1)
    expected = np.maximum(weights["conv2d/bias"], 0) * scale + shift
    np.testing.assert_allclose(front.constants[~front.alive], expected[~front.alive], rtol=1e-6)


@pytest.mark.parametrize(("positions", "block"), [(59, 8), (30, 10), (187, 11), (5, 5)])
def test_windows_cover_every_position(positions, block):
    starts = fast_musicnn.window_starts(positions, block)
    covered = {start + offset for start in starts for offset in range(block)}
    assert covered == set(range(positions))


def test_a_spread_kernel_is_the_filter_at_every_position():
    kernel = np.arange(1, 7, dtype=np.float32).reshape(1, 3, 2)
    wide = fast_musicnn.spread_kernel(kernel, 2).reshape(4, 2, 2)
    np.testing.assert_array_equal(wide[:3, 0], kernel[0])
    np.testing.assert_array_equal(wide[1:, 1], kernel[0])
    assert (wide[3, 0] == 0).all()
    assert (wide[0, 1] == 0).all()


def test_the_examples_in_the_documentation():
    assert doctest.testmod(fast_musicnn).failed == 0


def test_an_invalid_wheel_is_refused(tmp_path):
    from genrify_tagger.errors import ModelError

    (tmp_path / "musicnn.whl").write_bytes(b"no zip")
    for name in ("musicnn.whl", "missing.whl"):
        with pytest.raises(ModelError, match="no MSD_musicnn checkpoint"):
            musicnn_weights.read_weights(tmp_path / name)
