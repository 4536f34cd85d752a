"""Fit how evidence is joined: weights, calibration and threshold, all on songs that their heads did not meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import FloatArray
from genrify_tagger.decision.evidence import confidence_of, join_evidence
from genrify_tagger.learn.bounded_newton import minimise_within
from genrify_tagger.learned_vocabulary import KINDS

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_RIDGE = 1.0  # songs' worth of pull of the weights towards their start
_PRIOR = 1.0  # wrong songs that are added before a threshold is judged
_CAUTION = 0.5  # standard errors that are taken off
_BLOCK = 4096  # songs whose evidence is copied at a time
#: Where the weights start, and where they stay without songs to learn from: each kind as if it were the only one.
_START = {"shipped": 0.4, "coarse": 0.1, "artist_coarse": 0.1, "artist": 0.5, "frequency": 0.3}


def start_weights() -> Array:
    """Return the weights from which fitting starts."""
    return np.array([_START.get(kind, 0.0) for kind in KINDS])


def fit_weights(scores: Sequence[FloatArray | Array], allowed: Mask, weights: Array) -> Array:
    """Return the weight of each kind of evidence: that with the largest likelihood; none counts against a genre.

    Parameters
    ----------
    scores : sequence of ndarray, shape (n, n_genres)
        In order of `KINDS`.
    allowed : ndarray of bool, shape (n, n_genres)
        Genres that are right for each song.
    weights : ndarray, shape (n,)
        How much each song counts.
    """
    start = start_weights()
    several = allowed.sum(axis=1) > 1  # where one genre is right, there is nothing to vary among the right ones
    scores_of_several, weights_of_several = [score[several] for score in scores], weights[several]
    pull = _RIDGE * np.array([max(float(np.abs(score).mean()), 1e-6) for score in scores]) ** 2

    def loss(vector: Array) -> tuple[float, Array, Array]:
        found = join_evidence(scores, vector)
        right = found * allowed
        total = right.sum(axis=1) + 1e-12
        right /= total[:, np.newaxis]
        slope = weights[:, np.newaxis] * (found - right)
        away = vector - start
        value = -float(weights @ np.log(total)) + 0.5 * float(pull @ away**2)
        gradient = np.array([np.vdot(score, slope) for score in scores]) + pull * away
        curvature = np.diag(pull) + _covariance(scores, found, weights)
        curvature -= _covariance(scores_of_several, right[several], weights_of_several)
        return value, gradient, curvature

    return minimise_within(loss, start, np.zeros(len(start)), np.full(len(start), np.inf))


def _covariance(scores: Sequence[FloatArray | Array], shares: Array, weights: Array) -> Array:
    """Sum each song's covariance of the kinds of evidence over genres, which count by their `shares` in the song."""
    n = len(scores)
    total = np.zeros((n, n))
    for first in range(0, len(weights), _BLOCK):
        rows = slice(first, first + _BLOCK)
        kinds = np.stack([score[rows] for score in scores], axis=-1, dtype=np.float64)  # songs, genres, kinds
        means = np.matmul(shares[rows, np.newaxis], kinds)[:, 0]
        flat, counts = kinds.reshape(-1, n), (shares[rows] * weights[rows, np.newaxis]).reshape(-1, 1)
        total += flat.T @ (flat * counts) - means.T @ (means * weights[rows, np.newaxis])
    return total


def fit_calibration(probabilities: Array, is_right: Mask, weights: Array) -> tuple[float, float]:
    """Return slope and bias from the best genre's log odds to the confidence (Platt scaling)."""
    best = np.clip(probabilities.max(axis=1), 1e-6, 1 - 1e-6)
    odds = np.log(best / (1 - best))
    target = np.where(is_right, 1.0, 0.0)

    def loss(vector: Array) -> tuple[float, Array, Array]:
        z = vector[0] * odds + vector[1]
        share = 1 / (1 + np.exp(-z))
        error = weights * (share - target)
        value = float(weights @ (np.logaddexp(0, z) - target * z)) + 0.5 * ((vector[0] - 1) ** 2 + vector[1] ** 2)
        bend = weights * share * (1 - share)
        mixed = float(bend @ odds)
        curvature = np.array([[bend @ odds**2 + 1, mixed], [mixed, bend.sum() + 1]])
        return value, np.array([error @ odds + vector[0] - 1, error.sum() + vector[1]]), curvature

    slope, bias = minimise_within(loss, np.array([1.0, 0.0]), np.array([0.05, -9.0]), np.array([5.0, 9.0]))
    return float(slope), float(bias)


def choose_threshold(confidence: Array, is_right: Mask, precision: float) -> float:
    """Return the lowest confidence from which on the wanted share is right; 1 if there is none.

    The lowest of many is picked by luck as well, and a handful of right songs is no certainty: a wrong song is added,
    and half a standard error is taken off.
    """
    order = np.argsort(-confidence, kind="stable")
    number = np.arange(1, len(order) + 1)
    share = np.cumsum(is_right[order]) / (number + _PRIOR)
    safe = share - _CAUTION * np.sqrt(precision * (1 - precision) / number)
    ranked = confidence[order]
    is_last_of_ties = np.append(ranked[1:] < ranked[:-1], True)
    reached = np.flatnonzero((safe >= precision) & is_last_of_ties)
    return float(ranked[reached[-1]]) if len(reached) else 1.0


def calibrated(probabilities: Array, is_right: Mask, weights: Array) -> tuple[float, float, Array]:
    """Return slope, bias and the confidence of each song."""
    slope, bias = fit_calibration(probabilities, is_right, weights)
    return slope, bias, confidence_of(probabilities, slope, bias)
