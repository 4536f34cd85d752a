"""Train the head of the genre tree, and predict every clip by heads that met neither its source nor its artist.

A label may leave several leaves open ("Pop/Rock" is pop, rock, metal or punk), so the loss is the negative log of the
probability of all leaves allowed. Sources, classes and altered copies are weighted so that none rules.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from tree_clips import Ints, TreeClip, leaf_table
from tree_features import ORIGINAL, TRAINED_COPIES, Array

C = 0.02  # of the loss, against half the squared weights
FULL_WEIGHT = 60  # clips of a source that count in full; more count by the square root
CLASS_POWER, CLASS_CAP = 0.5, 5.0
COPIES_SHARE = 0.5  # of a clip's weight, for all its copies together
DEVIATION_FLOOR = 1e-3
ITERATIONS, ITERATIONS_IN_FOLDS = 120, 80

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LinearHead:
    """Weights (n_features, n_leaves) and bias (n_leaves,), the standardisation of the features included."""

    weights: Array
    bias: Array

    def predict(self, features: Array) -> Array:
        """Return the probabilities of the leaves, shape (n, n_leaves)."""
        return softmax(features @ self.weights + self.bias)


def train_head(clips: Sequence[TreeClip], features: Mapping[str, Array]) -> LinearHead:
    """Train the head that is shipped, on all clips."""
    return _Trainer(clips, features).train(np.ones(len(clips), bool), ITERATIONS)


def cross_validate(
    clips: Sequence[TreeClip], features: Mapping[str, Array], folds: Ints
) -> dict[str, npt.NDArray[np.float32]]:
    """Predict each clip, and each copy of it, by a head trained without its fold and without its artist.

    Returns
    -------
    dict of str to ndarray, shape (n_clips, n_leaves)
        By copy.
    """
    trainer = _Trainer(clips, features)
    found = {copy: np.zeros((len(clips), trainer.allowed.shape[1]), np.float32) for copy in features}
    for fold in np.unique(folds):
        held_out = folds == fold
        head = trainer.train(_without_artists(clips, held_out), ITERATIONS_IN_FOLDS)
        for copy, values in features.items():
            found[copy][held_out] = head.predict(values[held_out])
    return found


def _without_artists(clips: Sequence[TreeClip], held_out: Mask) -> Mask:
    """Return which clips are left to train on: none of the held-out artists'."""
    of_artist: defaultdict[str, list[int]] = defaultdict(list)
    for number, clip in enumerate(clips):
        of_artist[clip.artist].append(number)
    left = ~held_out
    for artist in {clip.artist for clip, is_held in zip(clips, held_out, strict=True) if is_held} - {""}:
        left[of_artist[artist]] = False
    return left


class _Trainer:
    """Trains heads on parts of the same clips, each from where the last one ended."""

    def __init__(self, clips: Sequence[TreeClip], features: Mapping[str, Array]) -> None:
        self.features = features
        self.allowed = leaf_table([clip.allowed for clip in clips])
        sizes = Counter(clip.source for clip in clips)
        by_source = [min(1.0, (FULL_WEIGHT / sizes[clip.source]) ** 0.5) for clip in clips]
        self.weights = np.array([clip.weight for clip in clips]) * by_source * (self.allowed.sum(axis=1) > 0)
        self.start: Array | None = None

    def train(self, chosen: Mask, iterations: int) -> LinearHead:
        """Train on the chosen clips and their copies."""
        chosen = chosen & (self.weights > 0)
        weights = self.weights[chosen]
        original, allowed = self.features[ORIGINAL][chosen], self.allowed[chosen]
        mean = np.average(original, axis=0, weights=weights)
        deviation = np.sqrt(np.average((original - mean) ** 2, axis=0, weights=weights)) + DEVIATION_FLOOR
        weights = weights * _class_weights(allowed, weights)
        copies = [self.features[copy][chosen] for copy in TRAINED_COPIES]
        rows = np.concatenate([(values - mean) / deviation for values in (original, *copies)]).astype(np.float32)
        shares = [1 - COPIES_SHARE] + [COPIES_SHARE / len(copies)] * len(copies)
        row_weights = np.concatenate([weights * share for share in shares])
        solution = fit(rows, np.tile(allowed, (len(shares), 1)), row_weights, self.start, iterations)
        self.start = solution
        weights_of = solution[: -allowed.shape[1]].reshape(rows.shape[1], -1) / deviation[:, np.newaxis]
        return LinearHead(weights_of, solution[-allowed.shape[1] :] - mean @ weights_of)


def _class_weights(allowed: npt.NDArray[np.float32], weights: Array) -> Array:
    """Return a factor for each clip that lifts rare leaves; a clip's weight is shared by the leaves it allows."""
    shares = allowed / allowed.sum(axis=1, keepdims=True)
    mass = (shares * weights[:, np.newaxis]).sum(axis=0)
    factors = np.minimum((mass.mean() / np.maximum(mass, 1e-9)) ** CLASS_POWER, CLASS_CAP)
    return np.asarray(shares @ factors)


def fit(
    rows: npt.NDArray[np.float32],
    allowed: npt.NDArray[np.float32],
    weights: Array,
    start: Array | None,
    iterations: int,
) -> Array:
    """Minimise the loss by L-BFGS; return weights and biases as one vector."""
    size, n_leaves = rows.shape[1], allowed.shape[1]
    scaled = (weights * C).astype(np.float32)

    def loss(vector: Array) -> tuple[float, Array]:
        matrix = vector[:-n_leaves].reshape(size, n_leaves).astype(np.float32)
        found = softmax(rows @ matrix + vector[-n_leaves:].astype(np.float32))
        open_part = found * allowed
        total = open_part.sum(axis=1) + 1e-12
        value = -(scaled * np.log(total)).sum() + 0.5 * float((matrix * matrix).sum())
        slope = scaled[:, np.newaxis] * (found - open_part / total[:, np.newaxis])
        return float(value), np.concatenate([(rows.T @ slope + matrix).ravel(), slope.sum(axis=0)]).astype(np.float64)

    begin = np.zeros((size + 1) * n_leaves) if start is None else start
    options = {"maxiter": iterations, "maxcor": 8}
    return np.asarray(minimize(loss, begin, jac=True, method="L-BFGS-B", options=options).x)


def softmax(logits: Array) -> Array:
    """Return probabilities of logits (n, k)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
