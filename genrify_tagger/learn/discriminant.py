"""A linear discriminant head on song features, and what it says of songs that it was not trained on.

Classes share one covariance, shrunk towards a multiple of the identity (Friedman, "Regularized discriminant analysis",
JASA 1989); class means are shrunk towards the mean of all songs, so that a genre of few songs claims little. All that
training needs are sums over songs, so that a head without a fold costs a subtraction and not a pass over the songs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision.evidence import head_scores

Array = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

MEAN_SHRINKAGE = 1.0  # songs of the mean of all that are added to each genre
_CHUNK = 4096  # songs that are computed with at a time, so that only they are in memory as double precision
_FLOOR = 1e-3


@dataclass(frozen=True, eq=False)
class Discriminant:
    """A linear head: weights (n_features, n_genres) and bias (n_genres,), without the genres' frequencies."""

    weights: Array
    bias: Array

    def scores(self, features: Features, rows: Ints) -> Features:
        """Return the scores of some songs, shape (n_rows, n_genres); see `decision.evidence.head_scores`."""
        found = np.zeros((len(rows), len(self.bias)), np.float32)
        for at in range(0, len(rows), _CHUNK):
            part = features[rows[at : at + _CHUNK]].astype(np.float64)
            found[at : at + _CHUNK] = head_scores(part, self.weights, self.bias)
        return found


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over songs: of outer products (F, F), by genre of features (K, F), and of weights (K,)."""

    outer: Array
    features: Array
    weights: Array

    def without(self, other: _Sums) -> _Sums:
        return _Sums(self.outer - other.outer, self.features - other.features, self.weights - other.weights)


class DiscriminantTrainer:
    """Trains heads on all songs, or without one fold of them.

    Parameters
    ----------
    features : ndarray, shape (n, n_features)
    genres : ndarray of int, shape (n,)
        Column of each song's genre; -1 for songs that are not trained on.
    weights : ndarray, shape (n,)
        How much each song counts.
    n_genres : int
    shrinkage : float
        Of the covariance: 0 none, 1 to a multiple of the identity.
    """

    def __init__(self, features: Features, genres: Ints, weights: Array, n_genres: int, shrinkage: float) -> None:
        self._shrinkage = shrinkage
        self._features, self._genres, self._weights, self._n_genres = features, genres, weights, n_genres
        self._mean, deviation = _mean_and_deviation(features)
        self._deviation = deviation + _FLOOR

    def train(self) -> Discriminant:
        """Train on all songs."""
        return self._head(self._sums(np.flatnonzero(self._genres >= 0)))

    def held_out(self, folds: Ints) -> list[Discriminant]:
        """Return one head a fold, trained without its songs."""
        trained = self._genres >= 0
        parts = [self._sums(np.flatnonzero(trained & (folds == fold))) for fold in range(int(folds.max()) + 1)]
        total = _Sums(*(sum(arrays) for arrays in zip(*[(p.outer, p.features, p.weights) for p in parts], strict=True)))
        return [self._head(total.without(part)) for part in parts]

    def _sums(self, rows: Ints) -> _Sums:
        size = self._features.shape[1]
        outer, by_genre = np.zeros((size, size)), np.zeros((self._n_genres, size))
        for at in range(0, len(rows), _CHUNK):
            chosen = rows[at : at + _CHUNK]
            x = ((self._features[chosen] - self._mean) / self._deviation).astype(np.float32)
            weighted = x * self._weights[chosen, np.newaxis].astype(np.float32)
            outer += x.T @ weighted
            one_hot = np.zeros((len(chosen), self._n_genres), np.float32)
            one_hot[np.arange(len(chosen)), self._genres[chosen]] = 1
            by_genre += one_hot.T @ weighted
        counts = np.bincount(self._genres[rows], self._weights[rows], self._n_genres)
        return _Sums(outer, by_genre, counts.astype(np.float64))

    def _head(self, sums: _Sums) -> Discriminant:
        total = max(float(sums.weights.sum()), 1.0)
        centre = sums.features.sum(axis=0) / total
        plain = sums.features / np.maximum(sums.weights, 1e-9)[:, np.newaxis]
        within = sums.outer - (plain * sums.weights[:, np.newaxis]).T @ plain
        within /= max(total - np.count_nonzero(sums.weights), 1.0)
        level = max(float(np.trace(within)) / len(within), 1e-6)
        shrunk = (1 - self._shrinkage) * within + self._shrinkage * level * np.eye(len(within))
        means = (sums.features + MEAN_SHRINKAGE * centre) / (sums.weights + MEAN_SHRINKAGE)[:, np.newaxis] - centre
        directions = np.linalg.solve(shrunk, means.T)
        bias = -0.5 * (means.T * directions).sum(axis=0) - centre @ directions
        weights = directions / self._deviation[:, np.newaxis]
        return Discriminant(weights, bias - self._mean @ weights)


def _mean_and_deviation(features: Features) -> tuple[Array, Array]:
    """Return mean and standard deviation of each feature, shape (n_features,)."""
    total, squares = np.zeros(features.shape[1]), np.zeros(features.shape[1])
    first = features[:1].astype(np.float64)  # near the mean, so that the squares lose no digits
    for at in range(0, len(features), _CHUNK):
        part = features[at : at + _CHUNK] - first
        total += part.sum(axis=0)
        squares += (part * part).sum(axis=0)
    mean = total / len(features)
    return first[0] + mean, np.sqrt(np.maximum(squares / len(features) - mean * mean, 0.0))
