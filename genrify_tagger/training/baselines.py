"""The seed's models, by name, under its own protocol and under honest ones.

* `seed-logistic`: multinomial logistic regression on mean and variance of 13 MFCC;
* `seed-cnn`: a small convolutional network on 13 MFCC frame by frame;
* `seed-dense`: 512-256-128-128 units on the scaled table of 57 features, ReLU, dropout 0.2, softmax, sparse categorical
  cross-entropy: the one its report gives 92.4% for.

Each is trained anew for every fold of a protocol and judged on what the fold leaves out, by the code that judges any
other model.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.datasets import Clip, SkippedFile, without_suffix
from genrify_tagger.training.evaluation import Predictions, Track
from genrify_tagger.training.extra import load_tensorflow
from genrify_tagger.training.feature_table import FeatureTable
from genrify_tagger.training.seed_features import FEATURES, SEGMENT_SAMPLES, SMALL_MFCC, Described
from genrify_tagger.training.splits import Protocol, by_group, by_lists, by_segment, by_track

DENSE_UNITS = (512, 256, 128, 128)
DROPOUT = 0.2
DENSE_EPOCHS = 100
CNN_EPOCHS = 30
BATCH = 128
PROTOCOLS = ("segment", "track", "artist", "lists")

FloatArray = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]
Predict = Callable[[FloatArray], FloatArray]
Fit = Callable[[FloatArray, Indices, int, int], Predict]

_SMALL_COLUMNS = [FEATURES.index(f"mfcc{n}_{s}") for n in range(1, SMALL_MFCC + 1) for s in ("mean", "var")]


@dataclass(frozen=True, eq=False)
class Rows:
    """Segments to learn from.

    Attributes
    ----------
    dataset : str
    clips : tuple of Clip
        The clip each row is of.
    table : ndarray, shape (n, 57)
    mfcc : ndarray, shape (n, 130, 13), or None
        None if only the table is at hand.
    problems : tuple of Problem
    """

    dataset: str
    clips: tuple[Clip, ...]
    table: npt.NDArray[np.float64]
    mfcc: FloatArray | None
    problems: tuple[SkippedFile, ...] = ()

    @property
    def labels(self) -> list[str]:
        """The label of each row."""
        return [clip.labels[0] for clip in self.clips]


def rows_of_clips(
    dataset: str, described: Sequence[tuple[Clip, Described]], problems: Sequence[SkippedFile] = ()
) -> Rows:
    """Lay described clips out row by row; clips of several labels are left out, since the seed knows one."""
    chosen = [(clip, one) for clip, one in described if len(clip.labels) == 1]
    if not chosen:
        raise ConfigError("no clip with exactly one label", path=dataset)
    return Rows(
        dataset=dataset,
        clips=tuple(clip for clip, one in chosen for _ in one.lengths),
        table=np.concatenate([one.table for _, one in chosen]),
        mfcc=np.concatenate([one.mfcc for _, one in chosen]),
        problems=tuple(problems),
    )


def rows_of_table(dataset: str, table: FeatureTable) -> Rows:
    """Lay a feature table out, ours or the published one; in a table of segments their number is not part of a name."""
    of_segments = len(table.lengths) > 0 and table.lengths.max() <= SEGMENT_SAMPLES
    clips = []
    for file, label in zip(table.files, table.labels, strict=True):
        name = f"{label}/{_recording(file) if of_segments else without_suffix(file)}"
        clips.append(Clip(file, name, (label,), name))
    return Rows(dataset, tuple(clips), table.values, None)


def _recording(segment: str) -> str:
    """Return what a segment is of: `song` of `song.12.mp3`, but `blues.00012` of the clip so named."""
    stem = without_suffix(segment)
    recording, _, number = stem.rpartition(".")
    return recording if recording and number.isdecimal() and number == str(int(number)) else stem


def make_protocol(name: str, rows: Rows, *, lists: tuple[Sequence[str], Sequence[str]] | None, seed: int) -> Protocol:
    """Split rows by one of `PROTOCOLS`.

    Raises
    ------
    ConfigError
        If the lists, or artists, are not known.
    """
    tracks = [clip.name for clip in rows.clips]
    groups = [clip.group for clip in rows.clips]
    if name == "segment":
        return by_segment(rows.labels, seed=seed)
    if name == "track":
        return by_track(rows.labels, tracks, seed=seed)
    if name == "artist":
        if groups == tracks:
            raise ConfigError("the artists of this dataset are not known", path=rows.dataset)
        return by_group(rows.labels, groups, seed=seed)
    if lists is None:
        raise ConfigError("no lists given", hint="--train-list FILE --test-list FILE")
    return by_lists(tracks, *lists)


def unlearned(rows: Rows, protocol: Protocol) -> list[str]:
    """Return the labels that are judged in some fold that has nothing to learn them from; they cannot be right."""
    labels = np.array(rows.labels)
    missing = [set(labels[test]) - set(labels[train]) for train, test in protocol.folds]
    return sorted(str(label) for label in set[str]().union(*missing))


def run_baseline(name: str, rows: Rows, protocol: Protocol, *, seed: int = 0) -> Predictions:
    """Train a baseline on each fold and let it predict what the fold leaves out.

    Parameters
    ----------
    name : str
        One of `BASELINES`.
    rows : Rows
    protocol : Protocol
    seed : int

    Raises
    ------
    ConfigError
        If the baseline looks at MFCC frames and only a table is at hand, or a fold has only one label to learn.
    """
    baseline = BASELINES[name]
    x = baseline.inputs(rows)
    names = tuple(sorted(set(rows.labels)))
    y = np.array([names.index(label) for label in rows.labels])
    if any(len(np.unique(y[train])) < 2 for train, _ in protocol.folds):
        raise ConfigError("too little music: there is only one label to learn", path=rows.dataset)
    scores = np.full((len(y), len(names)), np.nan, np.float32)
    for train, test in protocol.folds:
        scores[test] = baseline.fit(x[train], y[train], len(names), seed)(x[test])
    tested = np.unique(np.concatenate([test for _, test in protocol.folds]))
    return Predictions(
        model=name,
        dataset=rows.dataset,
        protocol=protocol.name,
        labels=names,
        tracks=_tracks(rows, scores, tested),
        problems=rows.problems,
    )


def _tracks(rows: Rows, scores: FloatArray, tested: Indices) -> tuple[Track, ...]:
    """Gather segments into tracks; a track's score is the mean of its segments', its confidence the highest of them."""
    members: dict[str, list[int]] = {}
    for row in tested:
        members.setdefault(rows.clips[row].name, []).append(int(row))
    found = []
    for of_track in members.values():
        mean = scores[of_track].mean(axis=0, dtype=np.float64)
        found.append(Track(rows.clips[of_track[0]], scores[of_track], mean, float(mean.max())))
    return tuple(found)


def fit_logistic(x: FloatArray, y: Indices, n_labels: int, seed: int) -> Predict:
    """Fit multinomial logistic regression on scaled columns."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # more threads only get in one another's way on a problem this small
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000, random_state=seed)).fit(x, y)
    known = np.unique(y)

    def predict(rows: FloatArray) -> FloatArray:
        scores = np.zeros((len(rows), n_labels), np.float32)
        scores[:, known] = model.predict_proba(rows)
        return scores

    return predict


def fit_dense(x: FloatArray, y: Indices, n_labels: int, seed: int) -> Predict:
    """Fit the dense network on the scaled table."""
    _load_tensorflow_on_one_core()
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    network = [keras.Input((x.shape[1],))]
    for units in DENSE_UNITS:
        network += [layers.Dense(units, activation="relu"), layers.Dropout(DROPOUT)]
    return _fit_keras(keras.Sequential([*network, layers.Dense(n_labels, activation="softmax")]), x, y, DENSE_EPOCHS)


def fit_cnn(x: FloatArray, y: Indices, n_labels: int, seed: int) -> Predict:
    """Fit the small convolutional network on MFCC frames."""
    _load_tensorflow_on_one_core()
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    network = keras.Sequential([keras.Input(x.shape[1:]), layers.Reshape((*x.shape[1:], 1))])
    for size, pool in ((3, 3), (3, 3), (2, 2)):
        network.add(layers.Conv2D(32, size, activation="relu", padding="same"))
        network.add(layers.MaxPooling2D(pool, strides=2, padding="same"))
        network.add(layers.BatchNormalization())
    for layer in (layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dropout(0.3)):
        network.add(layer)
    network.add(layers.Dense(n_labels, activation="softmax"))
    return _fit_keras(network, x, y, CNN_EPOCHS)


def _load_tensorflow_on_one_core() -> None:
    """Let TensorFlow add up in the same order on every machine, or with more cores a table would have other figures."""
    load_tensorflow()
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it is at work already
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _fit_keras(network: object, x: FloatArray, y: Indices, epochs: int) -> Predict:
    from typing import Any, cast

    model = cast("Any", network)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit((x - mean) / deviation, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return lambda rows: np.asarray(model.predict((rows - mean) / deviation, verbose=0), np.float32)


@dataclass(frozen=True)
class Baseline:
    """What a baseline looks at, and how it is fitted."""

    inputs: Callable[[Rows], FloatArray]
    fit: Fit


def _small_table(rows: Rows) -> FloatArray:
    return rows.table[:, _SMALL_COLUMNS].astype(np.float32)


def _whole_table(rows: Rows) -> FloatArray:
    return rows.table.astype(np.float32)


def _mfcc(rows: Rows) -> FloatArray:
    if rows.mfcc is None:
        raise ConfigError("seed-cnn looks at MFCC frames", path=rows.dataset, hint="give it the audio, not a table")
    return rows.mfcc


BASELINES: Mapping[str, Baseline] = {
    "seed-logistic": Baseline(_small_table, fit_logistic),
    "seed-cnn": Baseline(_mfcc, fit_cnn),
    "seed-dense": Baseline(_whole_table, fit_dense),
}
