"""The lean form of MSD_vgg equals the published form; shown on random weights, dead filters among them."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")

import keras

import fast_vgg
from network_checks import agreement
from published_networks import build_published_vgg


def random_vgg_weights(dead: float = 0.5) -> dict[str, np.ndarray]:
    """Random weights of the published shapes; a share of the filters is zero."""
    rng = np.random.default_rng(0)
    made = {}
    for number in range(6):
        size = 128 if number else 1
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        made[f"{name}/gamma"] = rng.random(size) + 0.1
        made[f"{name}/beta"] = rng.normal(size=size)
        made[f"{name}/moving_mean"] = rng.normal(size=size) * 0.1
        made[f"{name}/moving_variance"] = rng.random(size) + 0.1
        if number:
            n_in = 1 if number == 1 else 128
            kernel = rng.normal(size=(3, 3, n_in, 128)) / np.sqrt(9 * n_in)
            kernel[..., rng.random(128) < dead] = 0
            made[f"{number}CNN/kernel"], made[f"{number}CNN/bias"] = kernel, rng.normal(size=128) * 0.3
    return {name: np.asarray(values, np.float32) for name, values in made.items()}


@pytest.fixture(scope="module")
def mel():
    return (np.random.default_rng(1).random((3, 187, 96)) * 3).astype(np.float32)


def lean(weights, mel):
    given = keras.Input((187, 96))
    return np.asarray(keras.Model(given, fast_vgg.embed_vgg(given, weights)).predict_on_batch(mel))


def test_the_lean_form_equals_the_published_one(mel):
    weights = random_vgg_weights()
    expected = build_published_vgg(weights).predict_on_batch(mel)
    assert expected.shape == (3, fast_vgg.VGG_SIZE)
    r2, difference = agreement(np.asarray(expected), lean(weights, mel))
    assert r2 > 0.999999
    assert difference < 1e-3


def test_the_weights_matter(mel):
    """The agreement above is no accident of everything being constant."""
    weights = random_vgg_weights()
    broken = weights | {"3CNN/kernel": weights["3CNN/kernel"][::-1]}
    assert agreement(lean(weights, mel), lean(broken, mel))[0] < 0.99


def test_dead_filters_are_left_out():
    layers, _ = fast_vgg.without_dead_filters(random_vgg_weights(dead=0.75))
    widths = [layer.kernel.shape[3] for layer in layers]
    assert max(widths[:4]) < 60
    assert widths[4] == 128
    assert all(layer.bias[-1] == fast_vgg.ONES and not layer.kernel[..., -1].any() for layer in layers[:4])


def test_a_negative_scale_is_refused():
    weights = random_vgg_weights()
    weights["batch_normalization_2/gamma"] = -weights["batch_normalization_2/gamma"]
    with pytest.raises(ValueError, match="negative scale"):
        fast_vgg.without_dead_filters(weights)
