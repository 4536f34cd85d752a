"""From a song's features to a node of the genre tree: the deepest that is sure enough, else its parent, else none.

A linear head gives each leaf a probability. A genre's score is the sum over its own leaf and those below it, so that
doubt between Metal and Punk does not count against Rock. Leaves that are not genres of the tree only take probability
away. The confidence in the best top genre is a logistic function of the log odds of its score (Platt scaling), of two
slopes that meet at even odds, with a bias for each genre that is shrunk towards none; a child's is its own, but
never above its parent's. Fitted on sources of which the head had met no recording.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from genrify_tagger.analysis import SILENCE, FloatArray
from genrify_tagger.decision.flat import SILENT, Array, Decision, format_below

LEVELS: Final = ("leaf", "parent", "both")  # what of the path from the top genre to the decided one is written

_TAG_EPSILON = 1e-4
_SCORE_EPSILON = 1e-4
CHILD_SCORE: Final = 0.2  # below it the confidence in a child is not calibrated, and no child is considered


class Head(Protocol):
    """The linear head and the tree it scores; `genre_tree.TreeHead` is one."""

    @property
    def weights(self) -> FloatArray:
        """Weights, shape (n_features, n_leaves)."""

    @property
    def bias(self) -> FloatArray:
        """Biases, shape (n_leaves,)."""

    @property
    def leaves(self) -> Sequence[str]:
        """Names of the columns: labels, and leaves that are never written."""

    @property
    def parents(self) -> Mapping[str, str]:
        """The top genre of each label that is not itself a top genre."""


class TreeLabels(Protocol):
    """What a decision needs to know of a vocabulary of kind "tree"; `classifier.Vocabulary` is one."""

    @property
    def labels(self) -> Sequence[str]:
        """Labels of top genres and children."""

    @property
    def calibration(self) -> Mapping[str, float]:
        """Numbers by name; see `decide_in_tree`."""

    @property
    def writable(self) -> Collection[str]:
        """Labels for which there is enough evidence to write them."""

    @property
    def min_confidence(self) -> float:
        """Default threshold: the lowest confidence with which a genre is written."""


def song_features(embedding: FloatArray, spread: FloatArray, tags: FloatArray) -> Array:
    """Return what the head is fed: the mean embedding, the log odds of the tags, the spread of the embedding.

    Parameters
    ----------
    embedding, spread : ndarray, shape (..., n_dimensions)
        Mean and standard deviation over the audible segments.
    tags : ndarray, shape (..., n_tags)
        Mean probabilities.

    Returns
    -------
    ndarray, shape (..., 2 * n_dimensions + n_tags)
    """
    return np.concatenate([embedding, _log_odds(np.asarray(tags), _TAG_EPSILON), spread], axis=-1, dtype=np.float64)


def leaf_probabilities(features: Array, head: Head) -> Array:
    """Return the probability of each leaf, shape (..., n_leaves); they sum to 1."""
    logits = features @ head.weights + head.bias
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def node_scores(
    probabilities: Array, leaves: Sequence[str], labels: Sequence[str], parents: Mapping[str, str]
) -> Array:
    """Sum leaves to genres.

    Parameters
    ----------
    probabilities : ndarray, shape (..., n_leaves)
    leaves : sequence of str
        Names of the columns.
    labels : sequence of str
        Genres to score.
    parents : mapping of str to str
        See `Head`.

    Returns
    -------
    ndarray, shape (..., n_labels)
        Those of the top genres sum to 1 minus the leaves that are not genres of the tree.
    """
    below_label = np.array([[leaf == label or parents.get(leaf) == label for label in labels] for leaf in leaves])
    return np.asarray(probabilities @ below_label)


def decide_in_tree(
    features: Array,
    levels: FloatArray,
    head: Head,
    vocabulary: TreeLabels,
    *,
    min_confidence: float | None = None,
    level: str = "leaf",
) -> Decision:
    """Decide which node of the tree a song is.

    Parameters
    ----------
    features : ndarray, shape (n_features,)
        See `song_features`.
    levels : ndarray, shape (n_segments,)
        RMS level of each segment, dBFS; where all are silent nothing is decided.
    head : Head
    vocabulary : TreeLabels
        Its calibration: `above` and `below` (default 1) weigh the log odds of a top genre's score above and below even
        odds, `bias` and `bias:<label>` (default 0) are added; `child`, `child_bias` and `child_bias:<label>` do the
        same for a child.
    min_confidence : float or None
        None for the vocabulary's own.
    level : {"leaf", "parent", "both"}
        Which labels to give of the path from the top genre to the node that is sure enough: the node, the top genre, or
        both, the deeper first.

    Returns
    -------
    Decision
        Its confidence is that of the deepest node that is sure enough, or of the likeliest top genre.
    """
    if not (np.asarray(levels) > SILENCE).any():
        return Decision((), 0.0, dict.fromkeys(vocabulary.labels, 0.0), SILENT)
    scores = node_scores(leaf_probabilities(features, head), head.leaves, vocabulary.labels, head.parents)
    return decide_by_scores(scores, head.parents, vocabulary, min_confidence=min_confidence, level=level)


def decide_by_scores(
    scores: Array,
    parents: Mapping[str, str],
    vocabulary: TreeLabels,
    *,
    min_confidence: float | None = None,
    level: str = "leaf",
) -> Decision:
    """Decide by the scores of the vocabulary's labels; see `decide_in_tree`."""
    threshold = vocabulary.min_confidence if min_confidence is None else min_confidence
    by_label = {label: float(score) for label, score in zip(vocabulary.labels, scores, strict=True)}
    nodes = _likeliest_path(by_label, parents, vocabulary.calibration)
    sure = [label for label, confidence in nodes if confidence >= threshold and label in vocabulary.writable]
    if not sure or sure[0] != nodes[0][0]:
        return Decision((), nodes[0][1], by_label, _why_not(nodes[0], threshold), nodes)
    written = {"leaf": sure[-1:], "parent": sure[:1], "both": sure[::-1]}[level]
    return Decision(tuple(written), dict(nodes)[sure[-1]], by_label, None, nodes)


def _likeliest_path(
    scores: Mapping[str, float], parents: Mapping[str, str], calibration: Mapping[str, float]
) -> tuple[tuple[str, float], ...]:
    """Return the likeliest top genre and its likeliest child, if one is considered, each with its confidence."""
    top = max((label for label in scores if label not in parents), key=lambda label: scores[label])
    confidence = top_confidence(top, scores[top], calibration)
    children = [label for label in scores if parents.get(label) == top and scores[label] > CHILD_SCORE]
    if not children:
        return ((top, confidence),)
    child = max(children, key=lambda label: scores[label])
    return (top, confidence), (child, min(confidence, child_confidence(child, scores[child], calibration)))


def top_confidence(label: str, score: float, calibration: Mapping[str, float]) -> float:
    """Return the probability that a top genre is right."""
    odds = float(_log_odds(np.asarray(score), _SCORE_EPSILON))
    slope = calibration.get("above" if odds > 0 else "below", 1.0)
    return _logistic(slope * odds + calibration.get("bias", 0.0) + calibration.get(f"bias:{label}", 0.0))


def child_confidence(label: str, score: float, calibration: Mapping[str, float]) -> float:
    """Return the probability that a child is right."""
    odds = float(_log_odds(np.asarray(score), _SCORE_EPSILON))
    bias = calibration.get("child_bias", 0.0) + calibration.get(f"child_bias:{label}", 0.0)
    return _logistic(calibration.get("child", 1.0) * odds + bias)


def _logistic(evidence: float) -> float:
    return float(1 / (1 + np.exp(-evidence)))


def _log_odds(probability: Array | FloatArray, epsilon: float) -> Array:
    clipped = np.clip(np.asarray(probability, np.float64), epsilon, 1 - epsilon)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _why_not(top: tuple[str, float], threshold: float) -> str:
    label, confidence = top
    if confidence < threshold:
        return f"confidence {format_below(confidence, threshold)}"
    return f"too little evidence for {label}"
