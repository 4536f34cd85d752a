"""The networks that `train` can train: MSD_musicnn, fine-tuned, or a small CNN; log-mel in, genre probabilities out.

A clip's label may leave several classes open, so the loss is the negative logarithm of their total probability (Jin and
Ghahramani, "Learning with multiple labels", NIPS 2002).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers, ops

from genrify_tagger.training.fast_musicnn import split_dead_filters
from genrify_tagger.training.musicnn_weights import BANDS, EPSILON, FRAMES, FloatArray, Weights, affine

Tune = Literal["head", "mid", "all"]
TUNES: tuple[Tune, ...] = ("head", "mid", "all")

FRONTS, MIDS = range(5), range(5, 8)
HIDDEN = 128
SCRATCH_FILTERS = (24, 48, 72, 96)
_TRAINED_WITH: Mapping[str, tuple[Tune, ...]] = {"front": ("all",), "mid": ("mid", "all"), "dense": ("mid", "all")}


@keras.saving.register_keras_serializable("genrify")  # files hold this name and the class's
class Musicnn(layers.Layer):  # type: ignore[misc]  # Keras has no type information
    """MSD_musicnn up to its penultimate layer, with only the front-end filters that are alive.

    Parameters
    ----------
    shapes : mapping of str to list of int
        Shape of every array, by name.
    order : list of int
        Position of each published front-end channel in the list of living channels followed by the dead ones.
    tune : {"head", "mid", "all"}
        Which part is trained: none, mid-end and dense layer, or all.
    """

    def __init__(self, shapes: Mapping[str, Sequence[int]], order: Sequence[int], tune: Tune, **options: Any) -> None:
        super().__init__(**options)
        self.shapes, self.order, self.tune = dict(shapes), list(order), tune
        self.arrays: dict[str, Any] = {}

    def build(self, _: Any) -> None:
        """Create the variables."""
        for name, shape in self.shapes.items():
            trained = self.tune in _TRAINED_WITH.get(name.split("_")[0], ())
            self.arrays[name] = self.add_weight(shape=tuple(shape), name=name, trainable=trained)

    def call(self, mel: Any) -> Any:
        """Compute the embedding (n, 200) of log-mel segments (n, 187, 96)."""
        x = ops.expand_dims(self._affine(mel, "norm_0"), 3)
        padded = ops.pad(x, ((0, 0), (3, 3), (0, 0), (0, 0)))
        peaks = [self._front(padded if number < 2 else x, number) for number in FRONTS]
        dead = ops.zeros_like(peaks[0][:, :, :1]) + self.arrays["dead"]
        front = ops.take(ops.concatenate([*peaks, dead], axis=2), self.order, axis=2)
        mid1 = self._mid(front, 5)
        mid2 = self._mid(mid1, 6) + mid1
        mid3 = self._mid(mid2, 7) + mid2
        features = ops.concatenate([front, mid1, mid2, mid3], axis=2)
        pooled = ops.stack([ops.max(features, axis=1), ops.mean(features, axis=1)], axis=2)
        pooled = self._affine(ops.reshape(pooled, (-1, 2 * features.shape[2])), "norm_9")
        hidden = ops.relu(ops.matmul(pooled, self.arrays["dense_kernel"]) + self.arrays["dense_bias"])
        return self._affine(hidden, "norm_10")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        own = {"shapes": self.shapes, "order": self.order, "tune": self.tune}
        return {**super().get_config(), **own}

    def _affine(self, x: Any, name: str) -> Any:
        return x * self.arrays[f"{name}_scale"] + self.arrays[f"{name}_shift"]

    def _front(self, x: Any, number: int) -> Any:
        kernel, bias = self.arrays[f"front_{number}_kernel"], self.arrays[f"front_{number}_bias"]
        y = ops.relu(ops.conv(x, kernel, padding="valid" if number < 2 else "same") + bias)
        return ops.max(self._affine(y, f"front_{number}"), axis=2)

    def _mid(self, x: Any, number: int) -> Any:
        y = ops.conv(ops.pad(x, ((0, 0), (3, 3), (0, 0))), self.arrays[f"mid_{number}_kernel"], padding="valid")
        return self._affine(ops.relu(y + self.arrays[f"mid_{number}_bias"]), f"mid_{number}")


def musicnn_layer(weights: Weights, tune: Tune) -> Musicnn:
    """Return the layer with published weights (from `musicnn_weights.read_weights`)."""
    arrays, order = _plain_arrays(weights)
    layer = Musicnn({name: list(values.shape) for name, values in arrays.items()}, order, tune, name="trunk")
    layer.build((None, FRAMES, BANDS))
    for name, values in arrays.items():
        layer.arrays[name].assign(values)
    return layer


def published_weights(layer: Musicnn, weights: Weights) -> dict[str, FloatArray]:
    """Return the trained weights in their published form, from which the fast network is built."""
    trained = {name: np.asarray(ops.convert_to_numpy(values)) for name, values in layer.arrays.items()}
    found = {name: values.copy() for name, values in weights.items()}
    for number in FRONTS:
        alive, suffix = split_dead_filters(weights, number).alive, f"_{number}" if number else ""
        found[f"conv2d{suffix}/kernel"][..., alive] = trained[f"front_{number}_kernel"]
        found[f"conv2d{suffix}/bias"][alive] = trained[f"front_{number}_bias"]
        _set_affine(found, number + 1, trained, f"front_{number}", alive)
    for number in MIDS:
        found[f"conv2d_{number}/kernel"] = trained[f"mid_{number}_kernel"][:, :, np.newaxis, :]
        found[f"conv2d_{number}/bias"] = trained[f"mid_{number}_bias"]
        _set_affine(found, number + 1, trained, f"mid_{number}", slice(None))
    found["dense/kernel"], found["dense/bias"] = trained["dense_kernel"], trained["dense_bias"]
    return found


def from_musicnn(weights: Weights, n_classes: int, tune: Tune) -> Any:
    """Build MSD_musicnn with a fresh head: log-mel segments (n, 187, 96) to class probabilities (n, n_classes)."""
    mel = keras.Input((FRAMES, BANDS), name="mel")
    embedding = musicnn_layer(weights, tune)(mel)
    return keras.Model(mel, _head(embedding.shape[1], n_classes)(embedding), name="from_musicnn")


def from_scratch(n_classes: int) -> Any:
    """Build a small CNN: log-mel segments (n, 187, 96) to class probabilities (n, n_classes)."""
    mel = keras.Input((FRAMES, BANDS), name="mel")
    x = layers.BatchNormalization()(layers.Reshape((FRAMES, BANDS, 1))(mel))
    for number, filters in enumerate(SCRATCH_FILTERS):
        # The first layer has stride 2, since most of the work would be there.
        x = layers.Conv2D(filters, 3, strides=1 if number else 2, padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
        x = layers.MaxPooling2D(2)(x) if number else x
    pooled = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    embedding = layers.Dense(HIDDEN, activation="relu", name="trunk")(pooled)
    return keras.Model(mel, _head(HIDDEN, n_classes)(embedding), name="from_scratch")


def _head(n_inputs: int, n_classes: int) -> Any:
    return keras.Sequential(
        [
            keras.Input((n_inputs,)),
            layers.BatchNormalization(center=False, scale=False, momentum=0.9),
            layers.Dropout(0.2),
            layers.Dense(HIDDEN, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(n_classes, activation="softmax"),
        ],
        name="head",
    )


@keras.saving.register_keras_serializable("genrify")  # type: ignore[untyped-decorator]
def open_label_loss(targets: Any, probabilities: Any) -> Any:
    """Compute the loss of mixed segments.

    Parameters
    ----------
    targets : tensor, shape (n, 2 * n_classes + 1)
        Classes open for the first and the second partner, and the share of the first.
    probabilities : tensor, shape (n, n_classes)
    """
    n_classes = probabilities.shape[-1]
    first, second, share = targets[:, :n_classes], targets[:, n_classes:-1], targets[:, -1]
    losses = [-ops.log(ops.sum(open_classes * probabilities, axis=-1) + 1e-7) for open_classes in (first, second)]
    return share * losses[0] + (1 - share) * losses[1]


def _plain_arrays(weights: Weights) -> tuple[dict[str, FloatArray], list[int]]:
    """Fold batch norms into scales and shifts, and part living filters from the constants the dead emit."""
    arrays: dict[str, FloatArray] = {}
    alive, constants = [], []
    for number in FRONTS:
        front, suffix = split_dead_filters(weights, number), f"_{number}" if number else ""
        arrays[f"front_{number}_kernel"] = weights[f"conv2d{suffix}/kernel"][..., front.alive]
        arrays[f"front_{number}_bias"] = weights[f"conv2d{suffix}/bias"][front.alive]
        scale, shift = affine(weights, number + 1)
        arrays[f"front_{number}_scale"], arrays[f"front_{number}_shift"] = scale[front.alive], shift[front.alive]
        alive.append(front.alive)
        constants.append(front.constants)
    is_alive = np.concatenate(alive).astype(bool)
    arrays["dead"] = np.concatenate(constants)[~is_alive]
    sorted_channels = np.concatenate([np.flatnonzero(is_alive), np.flatnonzero(~is_alive)])
    for number in MIDS:
        arrays[f"mid_{number}_kernel"] = weights[f"conv2d_{number}/kernel"][:, :, 0, :]
        arrays[f"mid_{number}_bias"] = weights[f"conv2d_{number}/bias"]
        arrays[f"mid_{number}_scale"], arrays[f"mid_{number}_shift"] = affine(weights, number + 1)
    arrays["dense_kernel"], arrays["dense_bias"] = weights["dense/kernel"], weights["dense/bias"]
    for number in (0, 9, 10):
        arrays[f"norm_{number}_scale"], arrays[f"norm_{number}_shift"] = affine(weights, number)
    return arrays, [int(position) for position in np.argsort(sorted_channels)]


def _set_affine(found: dict[str, FloatArray], number: int, trained: Weights, name: str, at: Any) -> None:
    """Express a scale and shift as a batch norm of unchanged mean and variance."""
    prefix = f"batch_normalization_{number}"
    scale, shift = trained[f"{name}_scale"], trained[f"{name}_shift"]
    mean, variance = found[f"{prefix}/moving_mean"][at], found[f"{prefix}/moving_variance"][at]
    found[f"{prefix}/gamma"][at] = scale * np.sqrt(variance + EPSILON)
    found[f"{prefix}/beta"][at] = shift + mean * scale
