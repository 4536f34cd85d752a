"""The head of the ten genres: a few small networks on the frozen embedding, averaged.

The label of a clip leaves some classes open; the loss is the negative log of the total probability of these classes
(partial-label learning; Jin and Ghahramani, "Learning with multiple labels", NIPS 2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from clips import CLASSES, SourceClip, class_table
from embeddings import SegmentEmbeddings
from genrify_tagger.training.musicnn_weights import FloatArray
from shipped_network import Head, Layers

CLASS_WEIGHT_CAP = 5.0

Loss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class HeadOptions:
    """Architecture and training of a head; the defaults are the shipped ones."""

    nets: int = 5
    hidden: int = 128
    input_dropout: float = 0.2
    hidden_dropout: float = 0.5
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    epochs: int = 25
    batch: int = 256


def segment_weights(clips: Sequence[SourceClip], owner: npt.NDArray[np.int64]) -> FloatArray:
    """Weigh segments so that clips count alike whatever their length, and rare classes up to five times as much.

    Returns
    -------
    ndarray, shape (n_segments,)
        Their mean is 1.
    """
    open_classes = class_table(clips)
    share = open_classes / np.maximum(open_classes.sum(axis=1, keepdims=True), 1)
    per_clip = np.array([clip.weight for clip in clips], np.float32)
    counts = np.bincount(owner, minlength=len(clips))
    present = counts > 0
    mass = (share * (per_clip * present)[:, np.newaxis]).sum(axis=0)
    by_class = np.minimum(mass.max() / np.maximum(mass, 1e-9), CLASS_WEIGHT_CAP)
    weights = (per_clip * (share @ by_class) / np.maximum(counts, 1))[owner]
    return np.asarray(weights / weights.mean(), np.float32)


def train_genre_head(
    clips: Sequence[SourceClip], segments: SegmentEmbeddings, *, seed: int, options: HeadOptions | None = None
) -> Head:
    """Train the head of the ten genres.

    Parameters
    ----------
    clips : sequence of SourceClip
        All clips; `segments.owner` counts among them.
    segments : SegmentEmbeddings
        The segments to train on.
    seed : int
    options : HeadOptions or None
    """
    mean = segments.embedding.mean(axis=0)
    deviation = segments.embedding.std(axis=0) + 1e-3
    x = (segments.embedding - mean) / deviation
    y, weights = class_table(clips)[segments.owner], segment_weights(clips, segments.owner)
    return Head(mean=mean, deviation=deviation, nets=train_nets(x, y, weights, partial_label_loss, seed, options))


def train_nets(
    x: FloatArray, y: FloatArray, weights: FloatArray, loss: Loss, seed: int, options: HeadOptions | None = None
) -> list[Layers]:
    """Train a head's nets on standardised rows.

    Parameters
    ----------
    x : ndarray, shape (n, n_columns)
    y : ndarray, shape (n, any)
        Targets, as the loss takes them.
    weights : ndarray, shape (n,)
    loss : callable
        Of targets and class probabilities (n, 11).
    seed : int
    options : HeadOptions or None
    """
    import keras

    options = options or HeadOptions()
    keras.utils.set_random_seed(seed)
    model = _model(x.shape[1], options)
    steps = -(-len(x) // options.batch) * options.epochs
    schedule = keras.optimizers.schedules.CosineDecay(options.learning_rate, steps)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.weight_decay)
    model.compile(optimizer=optimizer, loss=[loss] * options.nets)
    model.fit(
        x,
        [y] * options.nets,
        sample_weight=[weights] * options.nets,
        batch_size=options.batch,
        epochs=options.epochs,
        verbose=0,
    )
    return [layers_of(model, number) for number in range(options.nets)]


def _model(inputs: int, options: HeadOptions) -> Any:
    """Build all nets side by side, so that one pass over the data trains them all."""
    import keras
    from keras import layers

    x = keras.Input((inputs,))
    outputs = []
    for number in range(options.nets):
        y = layers.Dropout(options.input_dropout)(x)
        if options.hidden:
            y = layers.Dense(options.hidden, activation="relu", name=f"hidden{number}")(y)
            y = layers.Dropout(options.hidden_dropout)(y)
        outputs.append(layers.Dense(len(CLASSES), activation="softmax", name=f"output{number}")(y))
    return keras.Model(x, outputs)


def partial_label_loss(open_classes: Any, probabilities: Any) -> Any:
    """Compute the negative log of the probability given to all classes that a label leaves open."""
    from keras import ops

    return -ops.log(ops.sum(open_classes * probabilities, axis=-1) + 1e-7)


def layers_of(model: Any, number: int) -> Layers:
    """Return the kernels and biases of net `number` of a model whose layers are named by it."""
    names = [f"{kind}{number}" for kind in ("hidden", "output")]
    found = [layer for name in names for layer in model.layers if layer.name == name]
    return [tuple(np.asarray(values, np.float32) for values in layer.get_weights()) for layer in found]  # type: ignore[misc]


def genre_probabilities(head: Head, embedding: FloatArray) -> FloatArray:
    """Return the probabilities of the eleven classes, shape (n, 11), as the shipped graph computes them."""
    outputs = []
    for net in head.nets:
        y = net_logits(head, net, embedding)
        powers = np.exp(y - y.max(axis=1, keepdims=True))
        outputs.append(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(np.mean(outputs, axis=0), np.float32)


def net_logits(head: Head, net: Layers, embedding: FloatArray) -> FloatArray:
    """Return the output of one net of a head before its last nonlinearity."""
    y = (embedding - head.mean) / head.deviation
    for number, (kernel, bias) in enumerate(net):
        y = (np.maximum(y, 0) if number else y) @ kernel + bias
    return np.asarray(y, np.float32)
