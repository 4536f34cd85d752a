"""Evaluation, the same for every model: the shipped one, a user's own, and those of the reference study.

A model's `Predictions` become a `Report`. A clip is included if it has one label (several only if asked). Where a label
leaves several genres open ("Pop/Rock"), any of them is right, and the *groups* (pop, rock and metal are one) give the
confusion matrix and the macro figure. For clips outside the vocabulary the report counts how many would get a genre.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.training import metrics
from genrify_tagger.training.datasets import Clip, SkippedFile
from genrify_tagger.training.genre_labels import genre_group, genres_of_label
from genrify_tagger.training.metrics import Array, ConfidenceBin, GenreFigures, Interval, OperatingPoint

SCHEMA = 1
WORST = 25
DEFAULT_THRESHOLD = 0.6


@dataclass(frozen=True, eq=False)
class TrackPrediction:
    """A model's prediction for one clip.

    Attributes
    ----------
    clip : Clip
    segments : ndarray, shape (n_segments, n_labels)
        Scores of each segment.
    scores : ndarray, shape (n_labels,)
        Scores of the whole clip.
    confidence : float
        The probability, as claimed by the model, that the best label is right.
    """

    clip: Clip
    segments: npt.NDArray[np.float32]
    scores: Array
    confidence: float


@dataclass(frozen=True)
class Predictions:
    """A model's predictions for a dataset.

    Attributes
    ----------
    model : str
    dataset : str
    protocol : str
        How training and test music were separated; empty for a finished model.
    labels : tuple of str
    tracks : tuple of TrackPrediction
    min_confidence : float
        The confidence from which the model writes a genre.
    problems : tuple of SkippedFile
        Files that could not be analysed.
    trained_on : frozenset of str or None
        Names of the clips the model was trained on; None if unknown.
    parents : mapping of str to str
        For a genre tree: the top genre, one of `labels`, of genres below it. It is right where they are.
    """

    model: str
    dataset: str
    protocol: str
    labels: tuple[str, ...]
    tracks: tuple[TrackPrediction, ...]
    min_confidence: float = DEFAULT_THRESHOLD
    problems: tuple[SkippedFile, ...] = ()
    trained_on: frozenset[str] | None = None
    parents: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceFigures:
    """How many tracks of one source there are, how many get a genre by default, and how many of these are right."""

    source: str
    n: int
    written: int
    right: int


@dataclass(frozen=True)
class Mistake:
    """A track whose best label is wrong."""

    file: str
    truth: tuple[str, ...]
    said: str
    confidence: float


@dataclass(frozen=True)
class OutsideFigures:
    """The number of clips that no label fits, and the share of them that would get one."""

    n: int
    written: float


@dataclass(frozen=True)
class GroupFigures:
    """Figures with pop, rock and metal as one group, over tracks of exactly one group."""

    n: int
    micro: Interval
    macro: Interval
    labels: tuple[str, ...]
    confusion: list[list[int]]
    genres: dict[str, GenreFigures]


@dataclass(frozen=True)
class Report:
    """The figures of a model on a dataset; intervals are 95%, over tracks.

    `n_trained_on` of the test tracks were trained on, which makes the figures worthless; None if unknown.
    """

    model: str
    dataset: str
    protocol: str
    labels: tuple[str, ...]
    n_tracks: int
    n_segments: int
    n_ambiguous: int
    n_trained_on: int | None
    segment_accuracy: Interval
    track_accuracy: Interval
    n_labelled: int
    macro_recall: Interval
    genres: dict[str, GenreFigures]
    confusion: list[list[int]]
    grouped: GroupFigures
    calibration_error: float
    reliability: list[ConfidenceBin]
    coverage: list[OperatingPoint]
    at_default: OperatingPoint
    outside: OutsideFigures
    sources: list[SourceFigures]
    worst: list[Mistake]
    problems: list[SkippedFile]


def answers_of(clip: Clip, labels: Sequence[str], parents: Mapping[str, str] | None = None) -> frozenset[str]:
    """Return which labels of a vocabulary are right for a clip, `parents` in place of their children; else none."""
    above = parents or {}
    named = [frozenset({label}) if label in (*labels, *above) else genres_of_label(label) for label in clip.labels]
    return frozenset(above.get(label, label) for label in frozenset[str]().union(*named)) & set(labels)


def evaluate_predictions(predictions: Predictions, *, several: bool = False) -> Report:
    """Compute the figures of a model.

    Parameters
    ----------
    predictions : Predictions
    several : bool
        Include clips with more than one label; any of them is right.
    """
    labels, parents = predictions.labels, predictions.parents
    eligible = [track for track in predictions.tracks if several or len(track.clip.labels) == 1]
    inside = [track for track in eligible if answers_of(track.clip, labels, parents)]
    outside = [track for track in predictions.tracks if not answers_of(track.clip, labels, parents)]
    answers = _truths([answers_of(track.clip, labels, parents) for track in inside], labels)
    scores = np.array([track.scores for track in inside], np.float64).reshape(-1, len(labels))
    confidence = np.array([track.confidence for track in inside])
    hits = metrics.best_is_right(scores, answers)
    matrix, macro = _single(scores, answers)
    bins = metrics.reliability(confidence, hits)
    return Report(
        model=predictions.model,
        dataset=predictions.dataset,
        protocol=predictions.protocol,
        labels=labels,
        n_tracks=len(inside),
        n_segments=sum(len(track.segments) for track in inside),
        n_ambiguous=len(predictions.tracks) - len(eligible),
        n_trained_on=_met(inside, predictions.trained_on),
        segment_accuracy=metrics.segment_accuracy(*_segments_right(inside, answers)),
        track_accuracy=metrics.track_accuracy(hits),
        n_labelled=int(matrix.sum()),
        macro_recall=macro,
        genres=dict(zip(labels, metrics.genre_figures(matrix), strict=True)),
        confusion=matrix.tolist(),
        grouped=_grouped(scores, answers, labels),
        calibration_error=metrics.calibration_error(bins),
        reliability=bins,
        coverage=metrics.coverage_curve(confidence, hits) if inside else [],
        at_default=metrics.operating_point(confidence, hits, predictions.min_confidence),
        outside=_outside(outside, predictions.min_confidence),
        sources=_by_source(inside, hits, confidence >= predictions.min_confidence),
        worst=_worst(inside, labels, hits),
        problems=list(predictions.problems),
    )


def report_json(report: Report) -> str:
    """Return a report as JSON; undefined figures are null."""
    return json.dumps({"schema": SCHEMA, **_plain(asdict(report))}, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def _met(tracks: Sequence[TrackPrediction], trained_on: frozenset[str] | None) -> int | None:
    return None if trained_on is None else sum(track.clip.name in trained_on for track in tracks)


def _truths(answers: Sequence[frozenset[str]], labels: Sequence[str]) -> metrics.Truths:
    return np.array([[label in right for label in labels] for right in answers], bool).reshape(-1, len(labels))


def _segments_right(tracks: Sequence[TrackPrediction], answers: metrics.Truths) -> tuple[list[int], list[int]]:
    rights = [int(right[np.argmax(track.segments, axis=1)].sum()) for track, right in zip(tracks, answers, strict=True)]
    return rights, [len(track.segments) for track in tracks]


def _single(scores: Array, answers: metrics.Truths) -> tuple[metrics.Indices, Interval]:
    """Return confusions and macro recall over the tracks of exactly one right label."""
    one = answers.sum(axis=1) == 1
    truth, said = np.argmax(answers[one], axis=1), metrics.best_columns(scores[one])
    n_labels = answers.shape[1]
    return metrics.confusion_matrix(truth, said, n_labels), metrics.macro_recall(truth, said, n_labels)


def _grouped(scores: Array, answers: metrics.Truths, labels: Sequence[str]) -> GroupFigures:
    names = tuple(dict.fromkeys(genre_group(label) for label in labels))
    member = np.array([[genre_group(label) == name for name in names] for label in labels], np.float64)
    in_groups = (answers.astype(np.float64) @ member) > 0
    one = in_groups.sum(axis=1) == 1
    truth, said = np.argmax(in_groups[one], axis=1), metrics.best_columns((scores @ member)[one])
    matrix = metrics.confusion_matrix(truth, said, len(names))
    return GroupFigures(
        n=int(one.sum()),
        micro=metrics.track_accuracy(truth == said),
        macro=metrics.macro_recall(truth, said, len(names)),
        labels=names,
        confusion=matrix.tolist(),
        genres=dict(zip(names, metrics.genre_figures(matrix), strict=True)),
    )


def _outside(tracks: Sequence[TrackPrediction], threshold: float) -> OutsideFigures:
    written = [track.confidence >= threshold for track in tracks]
    return OutsideFigures(len(tracks), float(np.mean(written)) if written else float("nan"))


def _by_source(tracks: Sequence[TrackPrediction], hits: metrics.Truths, written: metrics.Truths) -> list[SourceFigures]:
    """Return the figures of each source, the largest first."""
    of = np.array([track.clip.source for track in tracks])
    names, sizes = np.unique(of, return_counts=True)
    return [
        SourceFigures(
            str(names[at]),
            int(sizes[at]),
            int(written[of == names[at]].sum()),
            int((written & hits)[of == names[at]].sum()),
        )
        for at in np.argsort(-sizes, kind="stable")
    ]


def _worst(tracks: Sequence[TrackPrediction], labels: Sequence[str], hits: metrics.Truths) -> list[Mistake]:
    """Return the most confident mistakes."""
    wrong = [track for track, hit in zip(tracks, hits, strict=True) if not hit]
    wrong.sort(key=lambda track: (-track.confidence, track.clip.name))
    return [
        Mistake(
            file=track.clip.name,
            truth=track.clip.labels,
            said=labels[int(np.argmax(track.scores))],
            confidence=track.confidence,
        )
        for track in wrong[:WORST]
    ]
