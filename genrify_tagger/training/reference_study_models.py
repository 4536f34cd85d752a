"""The models of the reference study, cross-validated by the study's own protocol and by honest ones.

* `reference-logistic`: multinomial logistic regression on mean and variance of 13 MFCC;
* `reference-cnn`: a small convolutional network on 13 MFCC frame by frame;
* `reference-dense`: 512-256-128-128 units on the scaled table of 57 features, ReLU, dropout 0.2, softmax, sparse
  categorical cross-entropy: the one for which the study reports 92.4%.

Each is trained for every fold of a protocol, and its predictions for the rest are evaluated like any other model's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.datasets import Clip, SkippedFile, without_suffix
from genrify_tagger.training.dependencies import load_tensorflow
from genrify_tagger.training.evaluation import Predictions, TrackPrediction
from genrify_tagger.training.feature_table import FeatureTable
from genrify_tagger.training.reference_study_features import FEATURES, SEGMENT_SAMPLES, SMALL_MFCC, ClipFeatures
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
class SegmentRows:
    """Segments with their features.

    Attributes
    ----------
    dataset : str
    clips : tuple of Clip
        The clip of each row.
    table : ndarray, shape (n, 57)
    mfcc : ndarray, shape (n, 130, 13), or None
        None for a feature table.
    problems : tuple of SkippedFile
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
    dataset: str, described: Sequence[tuple[Clip, ClipFeatures]], problems: Sequence[SkippedFile] = ()
) -> SegmentRows:
    """Return the segments of clips as rows; clips of several labels are left out, since the study's models give one."""
    chosen = [(clip, one) for clip, one in described if len(clip.labels) == 1]
    if not chosen:
        raise ConfigError("no clip with exactly one label", path=dataset)
    return SegmentRows(
        dataset=dataset,
        clips=tuple(clip for clip, one in chosen for _ in one.lengths),
        table=np.concatenate([one.table for _, one in chosen]),
        mfcc=np.concatenate([one.mfcc for _, one in chosen]),
        problems=tuple(problems),
    )


def rows_of_table(dataset: str, table: FeatureTable) -> SegmentRows:
    """Return the rows of a feature table; in a table of segments the clip's name excludes the segment's number."""
    of_segments = len(table.lengths) > 0 and table.lengths.max() <= SEGMENT_SAMPLES
    clips = []
    for file, label in zip(table.files, table.labels, strict=True):
        name = f"{label}/{_recording(file) if of_segments else without_suffix(file)}"
        clips.append(Clip(file, name, (label,), name))
    return SegmentRows(dataset, tuple(clips), table.values, None)


def _recording(segment: str) -> str:
    """Return the clip of a segment: `song` for `song.12.mp3`, but `blues.00012` for the clip of that name."""
    stem = without_suffix(segment)
    recording, _, number = stem.rpartition(".")
    return recording if recording and number.isdecimal() and number == str(int(number)) else stem


def make_protocol(
    name: str, rows: SegmentRows, *, lists: tuple[Sequence[str], Sequence[str]] | None, seed: int
) -> Protocol:
    """Split rows by one of `PROTOCOLS`.

    Raises
    ------
    ConfigError
        If lists or artists are needed and not known.
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


def unlearned(rows: SegmentRows, protocol: Protocol) -> list[str]:
    """Return the labels that some fold tests without having any training rows for them."""
    labels = np.array(rows.labels)
    missing = [set(labels[test]) - set(labels[train]) for train, test in protocol.folds]
    return sorted(str(label) for label in set[str]().union(*missing))


def cross_validate_model(name: str, rows: SegmentRows, protocol: Protocol, *, seed: int = 0) -> Predictions:
    """Train a model on each fold and predict the rows that the fold leaves out.

    Parameters
    ----------
    name : str
        One of `REFERENCE_MODELS`.
    rows : SegmentRows
    protocol : Protocol
    seed : int

    Raises
    ------
    ConfigError
        If the model needs MFCC frames and there is only a table, or a fold has only one label.
    """
    model = REFERENCE_MODELS[name]
    x = model.inputs(rows)
    names = tuple(sorted(set(rows.labels)))
    y = np.array([names.index(label) for label in rows.labels])
    if any(len(np.unique(y[train])) < 2 for train, _ in protocol.folds):
        raise ConfigError("too little music: there is only one label", path=rows.dataset)
    scores = np.full((len(y), len(names)), np.nan, np.float32)
    for train, test in protocol.folds:
        scores[test] = model.fit(x[train], y[train], len(names), seed)(x[test])
    tested = np.unique(np.concatenate([test for _, test in protocol.folds]))
    return Predictions(
        model=name,
        dataset=rows.dataset,
        protocol=protocol.name,
        labels=names,
        tracks=_tracks(rows, scores, tested),
        problems=rows.problems,
    )


def _tracks(rows: SegmentRows, scores: FloatArray, tested: Indices) -> tuple[TrackPrediction, ...]:
    """Group segments into tracks; its scores are means over segments, its confidence the highest score."""
    members: dict[str, list[int]] = {}
    for row in tested:
        members.setdefault(rows.clips[row].name, []).append(int(row))
    found = []
    for of_track in members.values():
        mean = scores[of_track].mean(axis=0, dtype=np.float64)
        found.append(TrackPrediction(rows.clips[of_track[0]], scores[of_track], mean, float(mean.max())))
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
    """Make TensorFlow sum in the same order on every machine, so that results do not depend on the number of cores."""
    load_tensorflow()
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # it is running already
        tf.config.threading.set_intra_op_parallelism_threads(1)


def _fit_keras(network: object, x: FloatArray, y: Indices, epochs: int) -> Predict:
    from typing import Any, cast

    model = cast("Any", network)
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit((x - mean) / deviation, y, batch_size=BATCH, epochs=epochs, verbose=0)
    return lambda rows: np.asarray(model.predict((rows - mean) / deviation, verbose=0), np.float32)


@dataclass(frozen=True)
class ReferenceModel:
    """The input of a model, and how it is fitted."""

    inputs: Callable[[SegmentRows], FloatArray]
    fit: Fit


def _small_table(rows: SegmentRows) -> FloatArray:
    return rows.table[:, _SMALL_COLUMNS].astype(np.float32)


def _whole_table(rows: SegmentRows) -> FloatArray:
    return rows.table.astype(np.float32)


def _mfcc(rows: SegmentRows) -> FloatArray:
    if rows.mfcc is None:
        raise ConfigError(
            "reference-cnn needs MFCC frames", path=rows.dataset, hint="give it audio, not a feature table"
        )
    return rows.mfcc


REFERENCE_MODELS: Mapping[str, ReferenceModel] = {
    "reference-logistic": ReferenceModel(_small_table, fit_logistic),
    "reference-cnn": ReferenceModel(_mfcc, fit_cnn),
    "reference-dense": ReferenceModel(_whole_table, fit_dense),
}
