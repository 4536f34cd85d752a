"""Calibrate the genre tree on sources that the head was not trained on: confidences, threshold, writable genres."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from genrify_tagger.decision import CHILD_SCORE, Decision, decide_by_scores
from tree_clips import LABELS
from tree_features import Array
from tree_songs import PARENTS, TOPS, Mask, Songs, best_of

PRECISION = 0.9
ALIKE = ", sources alike"
CONDITIONS = ("all", f"all{ALIKE}", "data/world alone", f"data/world alone{ALIKE}")  # where it must hold
THRESHOLDS = np.arange(60, 96) / 100
EVIDENCE = 0.5  # confidence from which on a source that has the label right counts as evidence for it
FEWEST_SOURCES = 2
BIAS_PENALTY, SLOPE_PENALTY = 100.0, 0.01
FULL_WEIGHT = 40  # clips of a fold that count in full; more count by the square root
OTHER_WEIGHTS = (0.7, 0.7, 0.3)  # of world music, of other music outside the tree, of what is no music
EPSILON = 1e-4

Calibration = dict[str, float]


@dataclass(frozen=True)
class Rule:
    """A vocabulary as `decision` takes it."""

    calibration: Mapping[str, float]
    writable: frozenset[str]
    min_confidence: float
    labels: tuple[str, ...] = LABELS

    def decide(self, scores: Array) -> Decision:
        """Decide one clip."""
        return decide_by_scores(scores, PARENTS, self)


@dataclass(frozen=True, eq=False)
class Confidences:
    """The best top genre and child of each clip (columns of `LABELS`; -1 for no child), and the confidence in each."""

    top: Array
    top_confidence: Array
    child: Array
    child_confidence: Array

    def written(self, writable: frozenset[str], threshold: float) -> Array:
        """Return the column of the label written for each clip, -1 for none."""
        allowed = np.array([label in writable for label in LABELS] + [False])  # the last stands for -1
        top, child = self.top.astype(int), self.child.astype(int)
        tops = np.where(allowed[top] & (self.top_confidence >= threshold), top, -1)
        deeper = (tops >= 0) & allowed[child] & (self.child_confidence >= threshold)
        return np.where(deeper, child, tops)


def fit_calibration(songs: Songs, scores: Array, chosen: Mask) -> Calibration:
    """Fit the logistic functions of `decision.decide_in_tree` on the chosen clips."""
    weights = _weights(songs)
    chosen = chosen & (weights > 0)
    top = best_of(scores, TOPS)
    rows = np.arange(len(top))
    odds = _log_odds(scores[rows, top])
    columns = np.stack([np.maximum(odds, 0), np.minimum(odds, 0)], axis=1)
    slopes, bias, biases = _fit_logistic(columns[chosen], top[chosen], songs.right[rows, top][chosen], weights[chosen])
    found = {"above": slopes[0], "below": slopes[1], "bias": bias}
    found |= {f"bias:{label}": biases[LABELS.index(label)] for label in TOPS}
    child = _best_child(scores, top)
    usable = chosen & (child >= 0) & songs.determinate
    right = songs.right[rows, child] & songs.inside
    slopes, bias, biases = _fit_logistic(
        _log_odds(scores[rows, child])[usable, np.newaxis], child[usable], right[usable], weights[usable]
    )
    found |= {"child": slopes[0], "child_bias": bias}
    found |= {f"child_bias:{label}": biases[LABELS.index(label)] for label in PARENTS}
    return {name: round(float(value), 4) for name, value in found.items()}


def apply_calibration(calibration: Mapping[str, float], scores: Array) -> Confidences:
    """Return each clip's confidences, computed as the tagger does."""
    rule = Rule(calibration, frozenset(), 1.1)
    found = [rule.decide(row).nodes for row in scores]
    tops = [nodes[0] for nodes in found]
    children = [nodes[1] if len(nodes) > 1 else ("", 0.0) for nodes in found]
    return Confidences(
        np.array([LABELS.index(label) for label, _ in tops]),
        np.array([confidence for _, confidence in tops]),
        np.array([LABELS.index(label) if label else -1 for label, _ in children]),
        np.array([confidence for _, confidence in children]),
    )


def cross_fit(songs: Songs, scores: Mapping[str, Array], fitted_on: str) -> dict[str, Confidences]:
    """Return the confidences of all copies, each clip's by a calibration fitted without its fold."""
    parts: dict[str, list[Confidences]] = {copy: [] for copy in scores}
    order = []
    for fold in np.unique(songs.folds):
        held_out = songs.folds == fold
        calibration = fit_calibration(songs, scores[fitted_on], ~held_out)
        order.append(np.flatnonzero(held_out))
        for copy, values in scores.items():
            parts[copy].append(apply_calibration(calibration, values[held_out]))
    back = np.argsort(np.concatenate(order))
    fields = ("top", "top_confidence", "child", "child_confidence")
    return {
        copy: Confidences(*(np.concatenate([getattr(part, name) for part in found])[back] for name in fields))
        for copy, found in parts.items()
    }


def choose_writable(songs: Songs, confidences: Confidences) -> frozenset[str]:
    """Return the top genres for which at least two held-out sources are evidence."""
    right = songs.right[np.arange(len(songs.clips)), confidences.top.astype(int)]
    sure = right & (confidences.top_confidence >= EVIDENCE)
    return frozenset(
        label for label in TOPS if len(songs.sources(sure & (confidences.top == LABELS.index(label)))) >= FEWEST_SOURCES
    )


def choose_children(songs: Songs, confidences: Confidences, tops: frozenset[str], threshold: float) -> frozenset[str]:
    """Return the children that held-out sources have right often enough, two of them at least, where labels tell."""
    found = set()
    for label in PARENTS:
        written = confidences.written(tops | {label}, threshold) == LABELS.index(label)
        written = written & songs.inside & songs.determinate
        right = written & songs.right[:, LABELS.index(label)]
        if right.sum() >= PRECISION * written.sum() and len(songs.sources(right)) >= FEWEST_SOURCES:
            found.add(label)
    return frozenset(found)


def choose_threshold(
    songs: Songs,
    confidences: Confidences,
    writable: frozenset[str],
    chosen: Mask,
    conditions: Collection[str] = CONDITIONS,
) -> float:
    """Return the lowest threshold at which what is written of the chosen clips is right often enough.

    It must be so over all clips and over those of `data/world` alone, and for both with every source counting alike,
    or as fewer `conditions` say.
    """
    parts = {"all": songs.inside, "data/world alone": songs.of_part("world")}
    for threshold in THRESHOLDS:
        written = confidences.written(writable, threshold)
        is_right = right_of(songs, written)
        counted = {name: chosen & (written >= 0) & part for name, part in parts.items()}
        shares = [
            _average(is_right, counted[name.removesuffix(ALIKE)], songs.fold_weights if ALIKE in name else None)
            for name in conditions
        ]
        if min(shares) >= PRECISION:
            return float(threshold)
    return float(THRESHOLDS[-1])


def _average(values: Mask, chosen: Mask, weights: Array | None) -> float:
    """Return the mean of the chosen values, 0 if there is none."""
    if not chosen.any():
        return 0.0
    return float(np.average(values[chosen], weights=None if weights is None else weights[chosen]))


def right_of(songs: Songs, written: Array) -> Mask:
    """Return whether the label written is right, for each clip; False where none is."""
    return np.asarray(songs.right[np.arange(len(written)), written.astype(int)] & (written >= 0))


def _weights(songs: Songs) -> Array:
    sizes = np.bincount(songs.folds[songs.inside], minlength=int(songs.folds.max()) + 1)
    weights = np.where(songs.inside, np.minimum(1, (FULL_WEIGHT / np.maximum(sizes[songs.folds], 1)) ** 0.5), 0.0)
    others = (songs.world_only, songs.outside, songs.no_music)
    return np.select(others, OTHER_WEIGHTS, weights)


def _best_child(scores: Array, top: Array) -> Array:
    """Return the column of the likeliest child of each clip's top genre, -1 where none is considered."""
    columns = np.array([LABELS.index(label) for label in PARENTS])
    parents = np.array([LABELS.index(parent) for parent in PARENTS.values()])
    own = np.where(parents == top[:, np.newaxis], scores[:, columns], 0.0)
    return np.where(own.max(axis=1) > CHILD_SCORE, columns[own.argmax(axis=1)], -1)


def _fit_logistic(columns: Array, nodes: Array, right: Mask, weights: Array) -> tuple[Array, float, Array]:
    """Fit slopes, a bias, and a penalised bias for each node."""
    n = columns.shape[1]

    def loss(vector: Array) -> tuple[float, Array]:
        slopes, bias, biases = vector[:n], vector[n], vector[n + 1 :]
        found = 1 / (1 + np.exp(-(columns @ slopes + bias + biases[nodes])))
        error = weights * (found - right)
        likelihood = weights * np.log(np.where(right, found, 1 - found) + 1e-9)
        value = -likelihood.sum() + 0.5 * (BIAS_PENALTY * (biases**2).sum() + SLOPE_PENALTY * (slopes**2).sum())
        by_node = np.bincount(nodes, error, len(LABELS)) + BIAS_PENALTY * biases
        return float(value), np.concatenate([columns.T @ error + SLOPE_PENALTY * slopes, [error.sum()], by_node])

    vector = minimize(loss, np.zeros(n + 1 + len(LABELS)), jac=True, method="L-BFGS-B").x
    return vector[:n], float(vector[n]), vector[n + 1 :]


def _log_odds(scores: Array) -> Array:
    clipped = np.clip(scores, EPSILON, 1 - EPSILON)
    return np.asarray(np.log(clipped / (1 - clipped)))
