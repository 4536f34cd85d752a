"""Predictions of a finished model (flatbuffer and sidecar) for a dataset, made the way the tagger makes them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrify_tagger.analysis import FloatArray
from genrify_tagger.classifier import Sidecar, Vocabulary, load_sidecar
from genrify_tagger.decision import decide, decide_in_tree, song_features
from genrify_tagger.errors import ConfigError
from genrify_tagger.genre_tree import load_tree_head
from genrify_tagger.training.datasets import Clip, Dataset, SkippedFile, read_list
from genrify_tagger.training.evaluation import Predictions, TrackPrediction
from genrify_tagger.training.process_map import map_in_processes
from genrify_tagger.worker_main import summarise

if TYPE_CHECKING:
    from genrify_tagger.classifier import Classifier

SEGMENTS = 8
TRAINED_ON = "trained_on.txt"


@dataclass(frozen=True, eq=False)
class ClipOutputs:
    """A model's outputs for the segments of a clip, by name, with their intervals (s) and levels (dBFS)."""

    outputs: dict[str, FloatArray]
    intervals: FloatArray
    levels: FloatArray


def predict_datasets(
    datasets: Sequence[Dataset],
    sidecar: Sidecar,
    vocabulary: Vocabulary,
    *,
    jobs: int = 0,
    progress: bool = True,
) -> Predictions:
    """Predict the clips of datasets with a finished model.

    Parameters
    ----------
    datasets : sequence of Dataset
    sidecar : Sidecar
    vocabulary : Vocabulary
        One of the model's.
    jobs : int
        Number of processes; 0 for one per core.
    """
    predictor: _TreePredictor | _ListPredictor
    predictor = _TreePredictor(vocabulary) if vocabulary.tree else _ListPredictor(vocabulary)
    clips = [clip for dataset in datasets for clip in dataset.clips]
    problems = [problem for dataset in datasets for problem in dataset.problems]
    tracks = []
    tasks = [(clip.path, sidecar.path) for clip in clips]
    for clip, (_, analysed, reason) in zip(
        clips, map_in_processes(analyse_clip, tasks, jobs=jobs, title="Analysing" if progress else ""), strict=True
    ):
        if analysed is None:
            problems.append(SkippedFile(clip.path, reason or "no result"))
            continue
        tracks.append(predictor.predict(clip, analysed))
    return Predictions(
        model=sidecar.id,
        dataset=" + ".join(dataset.name for dataset in datasets),
        protocol="",
        labels=predictor.labels,
        tracks=tuple(tracks),
        min_confidence=vocabulary.min_confidence,
        trained_on=trained_on(sidecar),
        problems=tuple(problems),
        parents=predictor.parents,
    )


class _ListPredictor:
    """Predicts from a plain list of genres."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.labels = vocabulary.labels
        self.parents: Mapping[str, str] = {}

    def predict(self, clip: Clip, analysed: ClipOutputs) -> TrackPrediction:
        """Return the prediction for a clip."""
        decision = decide(analysed.outputs, analysed.levels, self.vocabulary)
        scores = np.array([decision.scores[label] for label in self.labels])
        return TrackPrediction(clip, analysed.outputs[self.vocabulary.output], scores, decision.confidence)


class _TreePredictor:
    """Predicts the top genres of a genre tree."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        assert vocabulary.tree is not None
        self.vocabulary = vocabulary
        self.head = load_tree_head(**vocabulary.tree.files(), names=vocabulary.names)
        self.parents = self.head.parents
        self.labels = tuple(label for label in vocabulary.labels if label not in self.parents)

    def predict(self, clip: Clip, analysed: ClipOutputs) -> TrackPrediction:
        """Return the prediction for a clip; a segment's genres are those of the vocabulary's output."""
        song = summarise(0.0, analysed.intervals, analysed.levels, analysed.outputs)
        assert song.spread is not None
        features = song_features(song.embedding, song.spread, song.tags)
        decision = decide_in_tree(features, song.levels, self.head, self.vocabulary, level="parent")
        named = self.vocabulary.labels[: analysed.outputs[self.vocabulary.output].shape[1]]
        member = np.array([[self.parents.get(label, label) == top for top in self.labels] for label in named])
        segments = (analysed.outputs[self.vocabulary.output] @ member).astype(np.float32)
        scores = np.array([decision.scores[label] for label in self.labels])
        # What may not be written at all is never sure.
        top = self.labels[int(scores.argmax())]
        confidence = dict(decision.nodes).get(top, 0.0) if top in self.vocabulary.writable else 0.0
        return TrackPrediction(clip, segments, scores, confidence)


def analyse_clip(task: tuple[str, str], segments: int = SEGMENTS) -> ClipOutputs:
    """Analyse one file with the model of a sidecar; runs in a process of its own."""
    from genrify_tagger.audio import load_segments
    from genrify_tagger.spectrogram import log_mel

    path, sidecar_path = task
    loaded = load_segments(path, n_segments=segments)
    outputs = _classifier(sidecar_path).predict(log_mel(loaded.y))
    power = np.mean(np.square(loaded.y, dtype=np.float64), axis=1)
    return ClipOutputs(outputs, loaded.intervals, (10 * np.log10(np.maximum(power, 1e-12))).astype(np.float32))


def open_model(path: str | None, vocabulary: str | None) -> tuple[Sidecar, Vocabulary]:
    """Return the sidecar of a model (None for the shipped one) and its vocabulary, as of `choose_vocabulary`."""
    sidecar = load_sidecar(path)
    return sidecar, choose_vocabulary(sidecar, vocabulary)


def choose_vocabulary(sidecar: Sidecar, name: str | None) -> Vocabulary:
    """Return a model's vocabulary by name; None for its first, the only one of a model that `train` wrote.

    Raises
    ------
    ConfigError
        If the model has no such vocabulary.
    """
    if name is None:
        return next(iter(sidecar.vocabularies.values()))
    if name not in sidecar.vocabularies:
        hint = f"it has {', '.join(sidecar.vocabularies)}"
        raise ConfigError(f"the model has no vocabulary {name!r}", path=sidecar.path, hint=hint)
    return sidecar.vocabularies[name]


def trained_on(sidecar: Sidecar) -> frozenset[str] | None:
    """Return the names of the clips a model was trained on, if there is a list of them beside its sidecar."""
    path = os.path.join(os.path.dirname(sidecar.path), TRAINED_ON)
    return frozenset(read_list(path)) if os.path.exists(path) else None


def write_trained_on(folder: Path, names: Iterable[str]) -> None:
    """Write the names (`datasets.Clip.name`) of the clips a model was trained on, for `trained_on` to read."""
    (folder / TRAINED_ON).write_text("\n".join(sorted(set(names))) + "\n", encoding="utf-8")


@functools.cache
def _classifier(sidecar_path: str) -> Classifier:
    from genrify_tagger.classifier import Classifier

    return Classifier(sidecar_path)
