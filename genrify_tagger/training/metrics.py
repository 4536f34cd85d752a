"""Accuracy, confusion, calibration and coverage, with bootstrap intervals. Arrays in, plain values out.

Conventions: `answers` is a boolean array (n_tracks, n_labels), true for every label that counts as right; `scores` has
the same shape; `hits` (n_tracks,) is true where the best label is right; `confidence` (n_tracks,) is the claimed
probability.

References
----------
B. Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1), 1979.
C. Guo et al., "On calibration of modern neural networks", ICML 2017 (expected calibration error).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 2000
BINS = 10
THRESHOLDS = np.round(np.arange(0.0, 1.0, 0.05), 2)

Array = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A figure with its 95% interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f}% [{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class GenreFigures:
    """Precision, recall and F1 of one label, NaN where undefined; `n` is the number of tracks it is right for."""

    precision: float
    recall: float
    f1: float
    n: int


@dataclass(frozen=True)
class ConfidenceBin:
    """Tracks whose confidence lies in [low, high): their mean confidence and the share that is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class OperatingPoint:
    """The effect of a threshold: share of tracks decided, share of these that is right, share of all that is wrong."""

    threshold: float
    coverage: float
    precision: float
    wrong: float


def bootstrap_interval(n: int, statistic: Callable[[Indices], float], *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Return a statistic of `n` tracks with its 95% percentile interval.

    Parameters
    ----------
    n : int
    statistic : callable
        From indices (with repetitions) of tracks to a number; NaN results are left out.
    """
    rng = np.random.default_rng(seed)
    all_tracks = np.arange(n)
    drawn = np.array([statistic(rng.integers(n, size=n)) for _ in range(draws)]) if n else np.array([np.nan])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(statistic(all_tracks), float(low), float(high))


def track_accuracy(hits: Truths) -> Interval:
    """Return the share of tracks that are right."""
    return bootstrap_interval(len(hits), lambda chosen: float(hits[chosen].mean()))


def segment_accuracy(right: Sequence[int], total: Sequence[int]) -> Interval:
    """Return the share of segments that are right; tracks are drawn, since segments of one track go together."""
    rights, totals = np.array(right), np.array(total)
    return bootstrap_interval(len(rights), lambda chosen: float(rights[chosen].sum() / totals[chosen].sum()))


def macro_recall(truth: Indices, said: Indices, n_labels: int) -> Interval:
    """Return the mean over labels of the share of their tracks that are right; labels without tracks do not count."""

    def statistic(chosen: Indices) -> float:
        of = truth[chosen]
        counts = np.bincount(of, minlength=n_labels)
        rights = np.bincount(of[said[chosen] == of], minlength=n_labels)
        present = counts > 0
        return float((rights[present] / counts[present]).mean())

    return bootstrap_interval(len(truth), statistic)


def best_columns(scores: Array) -> Indices:
    """Return the column of each track's highest score."""
    return np.asarray(np.argmax(scores, axis=1))


def best_is_right(scores: Array, answers: Truths) -> Truths:
    """Return for every track whether the best label is among the answers."""
    chosen: Truths = answers[np.arange(len(scores)), best_columns(scores)]
    return chosen


def confusion_matrix(truth: Indices, said: Indices, n_labels: int) -> Indices:
    """Count tracks: a row for each true label, a column for each predicted one."""
    matrix = np.zeros((n_labels, n_labels), np.int64)
    np.add.at(matrix, (truth, said), 1)
    return matrix


def genre_figures(matrix: Indices) -> list[GenreFigures]:
    """Return the figures of every label of a confusion matrix."""
    rows = []
    for at in range(len(matrix)):
        right, said, n = int(matrix[at, at]), int(matrix[:, at].sum()), int(matrix[at].sum())
        precision = right / said if said else float("nan")
        recall = right / n if n else float("nan")
        rows.append(GenreFigures(precision, recall, 2 * right / (said + n) if said + n else float("nan"), n))
    return rows


def reliability(confidence: Array, hits: Truths, *, bins: int = BINS) -> list[ConfidenceBin]:
    """Group tracks by confidence into bins of equal width; empty bins are left out."""
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        ConfidenceBin(
            low=int(number) / bins,
            high=(int(number) + 1) / bins,
            n=int((at == number).sum()),
            confidence=float(confidence[at == number].mean()),
            accuracy=float(hits[at == number].mean()),
        )
        for number in np.unique(at)
    ]


def calibration_error(bins: Sequence[ConfidenceBin]) -> float:
    """Return the expected calibration error: the mean difference of confidence and accuracy, weighted by tracks."""
    total = sum(one.n for one in bins)
    return sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / total if total else float("nan")


def operating_point(confidence: Array, hits: Truths, threshold: float) -> OperatingPoint:
    """Return the effect of deciding only at `threshold` and above."""
    decided = confidence >= threshold
    return OperatingPoint(
        threshold=float(threshold),
        coverage=float(decided.mean()) if len(decided) else float("nan"),
        precision=float(hits[decided].mean()) if decided.any() else float("nan"),
        wrong=float((decided & ~hits).mean()) if len(decided) else float("nan"),
    )


def coverage_curve(confidence: Array, hits: Truths) -> list[OperatingPoint]:
    """Return the operating points at all thresholds."""
    return [operating_point(confidence, hits, float(threshold)) for threshold in THRESHOLDS]
