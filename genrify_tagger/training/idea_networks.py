"""Networks of ideas that were tried and not shipped (`training.ideas`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.training import prune, vgg
from genrify_tagger.training.data import CLASSES, Clip, targets
from genrify_tagger.training.export import Head
from genrify_tagger.training.head import partial_label_loss, predict, segment_weights, train_head, train_nets
from genrify_tagger.training.listening import Heard
from genrify_tagger.training.musicnn import FRAMES, FloatArray, Weights, affine
from genrify_tagger.training.validate import song_means

MODULATION_BANDS, MODULATION_BINS = 16, 32
BAG = 8
CLIP_EPOCHS, CLIP_BATCH, CLIP_RATE = 60, 64, 2e-3
TUNED_EPOCHS, TUNED_SHARE, TUNED_BATCH, TUNED_RATE = 5, 0.5, 64, 1e-4
POOL_DROPOUT = 0.3

Judge = Callable[[Heard], FloatArray]
Indices = npt.NDArray[np.int64]


def modulation(mel: FloatArray) -> FloatArray:
    """Compute how strongly each of 16 bands pulsates, from 0.3 to 11 Hz: (n, 187, 96) to (n, 512).

    References
    ----------
    E. Pampalk, A. Rauber and D. Merkl, "Content-based organization and visualization of music archives", ACM MM 2002
    (fluctuation patterns).
    """
    bands = mel.reshape(len(mel), FRAMES, MODULATION_BANDS, -1).mean(axis=3)
    window = np.hanning(FRAMES)[:, np.newaxis]
    spectrum = np.abs(np.fft.rfft((bands - bands.mean(axis=1, keepdims=True)) * window, axis=1))
    return np.asarray(np.log1p(spectrum[:, 1 : MODULATION_BINS + 1]).reshape(len(mel), -1), np.float32)


def balanced_regression(clips: Sequence[Clip], heard: Heard) -> Judge:
    """Fit a balanced logistic regression to clips of one clear label; nothing is ever outside."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    labels = np.array([next(iter(clip.allowed), "") for clip in clips])[heard.owner]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000))
    model.fit(heard.embedding, labels)
    columns = [CLASSES.index(name) for name in model.classes_]

    def judge(songs: Heard) -> FloatArray:
        found = np.full((len(songs.owner), len(CLASSES)), 1e-4, np.float32)
        found[:, columns] = model.predict_proba(songs.embedding)
        return song_means(found, songs.owner, len(clips))

    return judge


def clip_network(clips: Sequence[Clip], heard: Heard, seed: int, *, attend: bool) -> Judge:
    """Train on bags of a clip's segments, by what it says of the bag: the mean, or a mean with learned weights.

    References
    ----------
    M. Ilse, J. Tomczak and M. Welling, "Attention-based deep multiple instance learning", ICML 2018.
    """
    import keras
    from keras import layers, ops

    keras.utils.set_random_seed(seed)
    mean, deviation = heard.embedding.mean(axis=0), heard.embedding.std(axis=0) + 1e-3
    present = np.unique(heard.owner)
    rows = {owner: np.flatnonzero(heard.owner == owner) for owner in present.tolist()}
    bag = keras.Input((BAG, heard.embedding.shape[1]))
    outputs = []
    for _ in range(3):
        hidden = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(layers.Dropout(0.2)(bag)))
        each = layers.Dense(len(CLASSES), activation="softmax")(hidden)
        gate = layers.Softmax(axis=1)(layers.Dense(1)(hidden)) if attend else ops.ones_like(each[:, :, :1]) / BAG
        outputs.append(ops.sum(each * gate, axis=1))
    model = keras.Model(bag, outputs)
    steps = -(-len(present) // CLIP_BATCH) * CLIP_EPOCHS
    optimizer = keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(CLIP_RATE, steps), weight_decay=1e-2)
    model.compile(optimizer=optimizer, loss=[partial_label_loss] * len(outputs))
    rng = np.random.default_rng(seed)
    y = targets(clips)[present]
    weights = segment_weights(clips, present)

    def bags(owners: Indices, of: Heard, where: dict[int, Indices]) -> FloatArray:
        chosen = [np.resize(rng.permutation(where[owner]), BAG) for owner in owners.tolist()]
        return np.asarray((of.embedding[np.stack(chosen)] - mean) / deviation, np.float32)

    for _ in range(CLIP_EPOCHS):
        order = rng.permutation(len(present))
        for batch in np.array_split(order, -(-len(order) // CLIP_BATCH)):
            wanted, counts = [y[batch]] * len(outputs), [weights[batch]] * len(outputs)
            model.train_on_batch(bags(present[batch], heard, rows), wanted, counts)

    def judge(songs: Heard) -> FloatArray:
        owners = np.unique(songs.owner)
        where = {owner: np.flatnonzero(songs.owner == owner) for owner in owners.tolist()}
        found = np.zeros((len(clips), len(CLASSES)), np.float32)
        found[owners] = np.mean(model.predict(bags(owners, songs, where), verbose=0), axis=0)
        return found

    return judge


def taught(clips: Sequence[Clip], heard: Heard, width: int, seed: int) -> Judge:
    """Train on the first `width` columns with two targets: the label, and what a head on the others says.

    References
    ----------
    G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural network", 2015.
    """
    from keras import ops

    first, other = (Heard(part, heard.owner) for part in (heard.embedding[:, :width], heard.embedding[:, width:]))
    said = predict(train_head(clips, other, seed=seed), other.embedding)

    def loss(wanted: Any, probabilities: Any) -> Any:
        open_classes, teacher = wanted[:, : len(CLASSES)], wanted[:, len(CLASSES) :]
        crossed = -ops.sum(teacher * ops.log(probabilities + 1e-7), axis=-1)
        return 0.5 * partial_label_loss(open_classes, probabilities) + 0.5 * crossed

    mean, deviation = first.embedding.mean(axis=0), first.embedding.std(axis=0) + 1e-3
    wanted = np.concatenate([targets(clips)[heard.owner], said], axis=1)
    x, weights = (first.embedding - mean) / deviation, segment_weights(clips, heard.owner)
    head = Head(mean, deviation, train_nets(x, wanted, weights, loss, seed))
    return lambda songs: song_means(predict(head, songs.embedding[:, :width]), songs.owner, len(clips))


@dataclass(frozen=True)
class Material:
    """Segments for `Tuned`.

    Attributes
    ----------
    channels : ndarray, shape (n, 187, 64)
        Of the front end, of all segments.
    embedding : ndarray, shape (n, 456)
        Of both networks, of all segments.
    rows : ndarray of int, shape (n_chosen,)
        Which of them are meant.
    owner : ndarray of int, shape (n_chosen,)
    """

    channels: npt.NDArray[np.floating[Any]]
    embedding: FloatArray
    rows: Indices
    owner: Indices


class Tuned:
    """MSD_musicnn's mid-end and dense layer, trained on together with a head that was trained before (both frozen).

    Parameters
    ----------
    clips : sequence of Clip
    material : Material
        To train on.
    weights : mapping
        Of MSD_musicnn.
    seed : int
    averaged : bool
        Whether to go halfway back to where it began (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR
        2022).
    """

    def __init__(
        self, clips: Sequence[Clip], material: Material, weights: Weights, seed: int, *, averaged: bool
    ) -> None:
        import keras

        heard = Heard(material.embedding[material.rows], material.owner)
        head = train_head(clips, heard, seed=seed)
        keras.utils.set_random_seed(seed)
        self._model = _tuned_model(
            head, weights, material.channels[material.rows[:: max(1, len(material.rows) // 512)]]
        )
        before = self._model.get_weights()
        y, weights_of = targets(clips)[material.owner], segment_weights(clips, material.owner)
        rng = np.random.default_rng(seed)
        per_epoch = int(len(material.rows) * TUNED_SHARE) // TUNED_BATCH
        schedule = keras.optimizers.schedules.CosineDecay(TUNED_RATE, TUNED_EPOCHS * per_epoch)
        self._model.compile(optimizer=keras.optimizers.Adam(schedule, clipnorm=1.0), loss=_all_nets_loss)
        for _ in range(TUNED_EPOCHS):
            order = rng.permutation(len(material.rows))[: per_epoch * TUNED_BATCH]
            for batch in order.reshape(per_epoch, TUNED_BATCH):
                self._model.train_on_batch(_inputs(material, batch), y[batch], weights_of[batch])
        if averaged:
            self._model.set_weights(
                [(one + other) / 2 for one, other in zip(before, self._model.get_weights(), strict=True)]
            )

    def predict(self, material: Material) -> FloatArray:
        """Return class probabilities (n_chosen, 11)."""
        found = [
            self._model.predict_on_batch(_inputs(material, batch)).mean(axis=1)
            for batch in np.array_split(np.arange(len(material.rows)), -(-len(material.rows) // 256))
        ]
        return np.asarray(np.concatenate(found), np.float32)


def _inputs(material: Material, batch: Indices) -> list[Any]:
    rows = material.rows[batch]
    return [material.channels[rows].astype(np.float32), material.embedding[rows, -vgg.SIZE :]]


def _all_nets_loss(open_classes: Any, probabilities: Any) -> Any:
    from keras import ops

    mass = ops.sum(open_classes[:, np.newaxis] * probabilities, axis=-1)
    return ops.mean(-ops.log(mass + 1e-7), axis=-1)


def _tuned_model(head: Head, weights: Weights, sample: npt.NDArray[np.floating[Any]]) -> Any:
    """Build it where it begins: front-end channels and MSD_vgg's features to probabilities (n, n_nets, 11)."""
    import keras
    from keras import layers, ops

    alive, constants = prune.dead_and_alive(weights)
    channels, other = keras.Input(sample.shape[1:]), keras.Input((vgg.SIZE,))
    x = ops.concatenate([channels, ops.ones_like(channels[:, :, :1])], axis=2)
    found, kernels = [channels], [prune.first_mid_kernel(weights, alive, constants)]
    kernels += [weights[f"conv2d_{number}/kernel"][:, :, 0, :] for number in (6, 7)]
    values: list[list[FloatArray]] = []
    made: list[Any] = []

    def trained(layer: Any, y: Any, *start: FloatArray) -> Any:
        made.append(layer)
        values.append(list(start))
        return layer(y)

    for number, kernel in zip((5, 6, 7), kernels, strict=True):
        convolution = layers.Conv1D(kernel.shape[2], kernel.shape[0], padding="same", activation="relu")
        scale, shift = affine(weights, number + 1)
        y = trained(convolution, x, kernel, weights[f"conv2d_{number}/bias"]) * scale + shift
        x = y if number == 5 else y + x
        found.append(x)
    pooled = prune.pool(ops.concatenate(found, axis=2))
    centre = keras.Model(channels, pooled)
    for layer, start in zip(made, values, strict=True):
        layer.set_weights(start)
    mean = centre.predict(sample.astype(np.float32), verbose=0).mean(axis=0)
    pooled = layers.Dropout(POOL_DROPOUT)(pooled - mean) + mean  # what is dropped is as usual, not as nothing
    for_max, for_mean, bias = prune.dense(weights, alive, constants)
    scale, shift = affine(weights, 10)
    dense = layers.Dense(bias.size, activation="relu")
    embedding = trained(dense, pooled, np.concatenate([for_max, for_mean]), bias) * scale + shift
    row = (ops.concatenate([embedding, other], axis=1) - head.mean) / head.deviation
    outputs = []
    for (first, first_bias), (last, last_bias) in head.nets:
        hidden = trained(layers.Dense(first.shape[1], activation="relu"), layers.Dropout(0.2)(row), first, first_bias)
        outputs.append(
            trained(layers.Dense(last.shape[1], activation="softmax"), layers.Dropout(0.5)(hidden), last, last_bias)
        )
    model = keras.Model([channels, other], ops.stack(outputs, axis=1))
    for layer, start in zip(made, values, strict=True):
        layer.set_weights(start)
    return model
