"""From the activations of segments to the labels of a flat vocabulary.

A song's score is the mean over the audible segments. With an `outside` output each segment counts by the
probability that any of the labels fits it, which makes the mean of conditional probabilities the conditional of the
mean. Labels that are hard to tell apart split their probability, and would lose to a less likely label without such
neighbours; so the best of them gets a larger share. Scores are then tempered
(Guo et al., "On calibration of modern neural networks", ICML 2017), and the confidence
in the top label is a logistic function of its odds, of the odds of the labels it is hard to tell from, and of the odds
that any label fits (Platt scaling), fitted on songs and artists that were not in the training set.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import SILENCE, FloatArray

SILENT = "silence"  # the reason of a decision on inaudible audio
_EPSILON = 1e-6

Array = npt.NDArray[np.float64]


class Labels(Protocol):
    """The properties of a vocabulary that a decision needs; `classifier.Vocabulary` has them."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels, in the order of the output's columns."""

    @property
    def output(self) -> str:
        """Name of the output with the labels' activations."""

    @property
    def outside(self) -> str | None:
        """Name of the output with the probability that no label fits."""

    @property
    def calibration(self) -> Mapping[str, float]:
        """Calibration parameters by name; see `decide`."""

    @property
    def alike(self) -> Collection[str]:
        """Labels that are hard to tell apart."""

    @property
    def min_confidence(self) -> float:
        """Minimum confidence for writing a genre, by default."""


@dataclass(frozen=True)
class Decision:
    """The genres of a song, or why they are unsure.

    Attributes
    ----------
    genres : tuple of str
        Labels, best first; empty when unsure.
    confidence : float
        Calibrated probability that the top label is right.
    scores : dict of str to float
        Every label of the vocabulary; in a plain list they sum to 1.
    reason : str or None
        Why it is unsure.
    nodes : tuple of (label, confidence) pairs
        In a genre tree: the likeliest top genre and its likeliest child, sure or not.
    """

    genres: tuple[str, ...]
    confidence: float
    scores: dict[str, float]
    reason: str | None
    nodes: tuple[tuple[str, float], ...] = ()


def decide(
    activations: Mapping[str, FloatArray],
    levels: FloatArray,
    vocabulary: Labels,
    *,
    min_confidence: float | None = None,
    max_genres: int = 1,
) -> Decision:
    """Decide the genres of a song.

    Parameters
    ----------
    activations : mapping of str to ndarray, shape (n_segments, n_columns)
        By name of the network's output.
    levels : ndarray, shape (n_segments,)
        RMS level of each segment, dBFS; silent ones do not count.
    vocabulary : Labels
        The labels and their calibration: `alike` (default 1) is the temperature among the labels that are
        hard to tell apart, which keep their sum, `temperature` (default 1) that of all scores, `bias`,
        `top`, `group` and `inside` (defaults 0, 1, 0, 0) weigh the log odds of the top score, of the summed scores of
        the labels alike with it and of the song being inside the vocabulary, and `companion` (default 0.3) is the score
        from which on further genres are given.
    min_confidence : float or None
        None for the vocabulary's own.
    max_genres : int
        How many genres may be given.

    Returns
    -------
    Decision
    """
    audible = np.asarray(levels) > SILENCE
    if not audible.any():
        return Decision((), 0.0, _even_scores(vocabulary), SILENT)
    scores, inside = song_scores(activations, audible, vocabulary)
    return decide_by_song_scores(scores, inside, vocabulary, min_confidence=min_confidence, max_genres=max_genres)


def decide_by_song_scores(
    scores: Array, inside: float, vocabulary: Labels, *, min_confidence: float | None = None, max_genres: int = 1
) -> Decision:
    """Decide by what `song_scores` returns; see `decide`."""
    threshold = vocabulary.min_confidence if min_confidence is None else min_confidence
    confidence = _confidence(scores, inside, vocabulary)
    by_label = {label: float(score) for label, score in zip(vocabulary.labels, scores, strict=True)}
    if confidence < threshold:
        return Decision((), confidence, by_label, f"confidence {format_below(confidence, threshold)}")
    return Decision(_best(by_label, vocabulary, max_genres), confidence, by_label, None)


def likeliest(scores: Mapping[str, float], confidence: float | None) -> str | None:
    """Return the label with the highest score; None for silence, whose scores are meaningless."""
    return max(scores, key=lambda label: scores[label]) if scores and confidence else None


def song_scores(
    activations: Mapping[str, FloatArray], audible: npt.NDArray[np.bool_], vocabulary: Labels
) -> tuple[Array, float]:
    """Combine the scores of segments into those of the song.

    Returns
    -------
    scores : ndarray, shape (n_labels,)
        Calibrated; they sum to 1.
    inside : float
        Probability that any label fits.
    """
    values = np.asarray(activations[vocabulary.output], np.float64)[audible]
    if vocabulary.outside is None:
        weights = np.ones(len(values))
    else:
        weights = 1 - np.asarray(activations[vocabulary.outside], np.float64)[audible, 0]
    inside = float(weights.mean())
    weights = np.maximum(weights, _EPSILON)
    mean = np.average(values, axis=0, weights=weights)
    numbers = vocabulary.calibration
    sharp = sharpen(mean, _alike(vocabulary), numbers.get("alike", 1.0))
    return temper(sharp, numbers.get("temperature", 1.0)), inside


def _confidence(scores: Array, inside: float, vocabulary: Labels) -> float:
    group = group_score(scores, _alike(vocabulary))
    return calibrated_confidence(float(scores.max()), group, inside, vocabulary.calibration)


def _alike(vocabulary: Labels) -> list[int]:
    return [index for index, label in enumerate(vocabulary.labels) if label in vocabulary.alike]


def sharpen(scores: Array, alike: Sequence[int], temperature: float) -> Array:
    """Divide the logarithms of some columns by a temperature, keeping their sum.

    Parameters
    ----------
    scores : ndarray, shape (..., n_labels)
    alike : sequence of int
        The columns.
    temperature : float
        Below 1 the largest of them gains.
    """
    if not alike:
        return scores
    found = np.array(scores, np.float64)
    chosen = found[..., list(alike)]
    found[..., list(alike)] = temper(chosen, temperature) * chosen.sum(axis=-1, keepdims=True)
    return found


def temper(scores: Array, temperature: float) -> Array:
    """Divide the logarithms of scores (..., n) by a temperature; the result sums to 1."""
    logs = np.log(np.maximum(scores, _EPSILON)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def group_score(scores: Array, alike: Sequence[int]) -> float:
    """Return the summed scores of the columns alike with the best one; the best score if there are none."""
    best = int(scores.argmax())
    return float(scores[list(alike)].sum()) if best in alike else float(scores[best])


def calibrated_confidence(top: float, group: float, inside: float, calibration: Mapping[str, float]) -> float:
    """Return the probability that the label with the highest score is right."""
    evidence = (
        calibration.get("bias", 0.0)
        + calibration.get("top", 1.0) * log_odds(top)
        + calibration.get("group", 0.0) * log_odds(group)
        + calibration.get("inside", 0.0) * log_odds(inside)
    )
    return float(1 / (1 + np.exp(-evidence)))


def log_odds(probability: float) -> float:
    """Return the log odds of a probability, finite also at 0 and 1."""
    clipped = min(max(probability, _EPSILON), 1 - _EPSILON)
    return float(np.log(clipped / (1 - clipped)))


def _best(scores: Mapping[str, float], vocabulary: Labels, max_genres: int) -> tuple[str, ...]:
    companion = vocabulary.calibration.get("companion", 0.3)
    ranked = sorted(scores, key=lambda label: -scores[label])
    further = [label for label in ranked[1:max_genres] if scores[label] >= companion]
    return (ranked[0], *further)


def _even_scores(vocabulary: Labels) -> dict[str, float]:
    return dict.fromkeys(vocabulary.labels, 1 / len(vocabulary.labels))


def format_below(confidence: float, threshold: float) -> str:
    """Return both numbers with as many digits as are needed to tell them apart."""
    for digits in (2, 3, 4):
        if f"{confidence:.{digits}f}" != f"{threshold:.{digits}f}":
            break
    return f"{confidence:.{digits}f} below {threshold:.{digits}f}"
