"""Join what is known of a song into one probability a genre: its sound, and what its artist's and album's songs say.

Each kind of evidence gives every genre a score; the scores are summed with weights that were learned on the library
(a log-linear pool), and their softmax is the probability. The confidence in the best genre is a logistic function of
its log odds. Both differ by whether other songs of the artist or album have a genre (`KNOWN`) or not (`STRANGER`).

Of the sound there are three scores: the shipped tree's, a coarse head's on tags and leaves of the tree, which needs few
songs to learn from, and a fine head's on all features, which needs many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from genrify_tagger.analysis import FloatArray
from genrify_tagger.decision.flat import Array, Decision, format_below
from genrify_tagger.learned_vocabulary import LearnedVocabulary

Ints = npt.NDArray[np.int64]

STRANGER, KNOWN = 0, 1
TAG_SMOOTHING: Final = 0.5  # songs with genres in the library's proportions that are added to an artist's or album's
_EPSILON = 1e-6
_LEAF_EPSILON = 1e-4


@dataclass(frozen=True, eq=False)
class Company:
    """Songs that belong together with one, without the song itself.

    Attributes
    ----------
    rows : ndarray of int
        Rows of those that are analysed; see `decide_by_evidence`.
    genre_counts : ndarray, shape (n_genres,)
        How many of them have each genre.
    """

    rows: Ints
    genre_counts: Array


@dataclass(frozen=True, eq=False)
class JoinedEvidence:
    """A decision and why.

    Attributes
    ----------
    decision : Decision
    scores : mapping of str to ndarray, shape (n_genres,)
        "sound": probabilities by the shipped tree; "learned": by the heads that were learned; both of the song alone.
    """

    decision: Decision
    scores: dict[str, Array]


def evidence_features(features: Array, leaf_probabilities: Array) -> Array:
    """Return what the heads are fed: a song's features and the log probabilities of the tree's leaves."""
    return np.concatenate([features, np.log(np.maximum(leaf_probabilities, _LEAF_EPSILON))], axis=-1)


def coarse_columns(n_dimensions: int, n_tags: int, n_leaves: int) -> Ints:
    """Return which columns of `evidence_features` the coarse head is fed: tags and leaves."""
    first_leaf = 2 * n_dimensions + n_tags
    return np.asarray(np.r_[n_dimensions : n_dimensions + n_tags, first_leaf : first_leaf + n_leaves])


def shipped_scores(leaf_probabilities: Array, leaf_genres: Array) -> Array:
    """Return the log probability of each genre by the shipped tree, shape (n, n_genres)."""
    return np.asarray(np.log(leaf_probabilities @ leaf_genres + _EPSILON))


def head_scores(features: Array, weights: Array, bias: Array) -> Array:
    """Return a linear head's scores, shape (n, n_genres), each row with mean 0."""
    found = features @ weights + bias
    return np.asarray(found - found.mean(axis=-1, keepdims=True))


def tag_scores(counts: Array, frequencies: Array) -> Array:
    """Return how much more frequent each genre is among other songs than in the library: a log ratio, smoothed.

    Parameters
    ----------
    counts : ndarray, shape (n, n_genres)
        How many of the other songs have each genre.
    frequencies : ndarray, shape (n_genres,)
        Share of each genre in the library.
    """
    total = counts.sum(axis=-1, keepdims=True)
    shares = (counts + TAG_SMOOTHING * frequencies) / (total + TAG_SMOOTHING)
    return np.asarray(np.log(shares) - np.log(frequencies))


def join_evidence(scores: Sequence[FloatArray | Array], weights: Array) -> Array:
    """Return the probability of each genre, shape (n, n_genres), of scores in order of `KINDS`."""
    total = np.zeros(scores[0].shape)
    for weight, score in zip(weights, scores, strict=True):
        total += weight * score
    powers = np.exp(total - total.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def confidence_of(probabilities: Array, slope: float, bias: float) -> Array:
    """Return the confidence in the best genre, shape (n,)."""
    best = np.clip(probabilities.max(axis=-1), _EPSILON, 1 - _EPSILON)
    return np.asarray(1 / (1 + np.exp(-(slope * np.log(best / (1 - best)) + bias))))


def decide_by_probabilities(
    probabilities: Array, regime: int, learned: LearnedVocabulary, *, min_confidence: float | None = None
) -> Decision:
    """Decide by the joined probability of each genre, shape (n_genres,); see `decide_by_evidence`."""
    confidence = float(confidence_of(probabilities, learned.slopes[regime], learned.biases[regime]))
    threshold = float(learned.thresholds[regime]) if min_confidence is None else min_confidence
    by_genre = dict(zip(learned.genres, probabilities.tolist(), strict=True))
    best = learned.genres[int(probabilities.argmax())]
    if confidence >= threshold:
        return Decision((best,), confidence, by_genre, None)
    wider, wider_confidence = likeliest_wider(probabilities[np.newaxis], regime, learned)
    wider_threshold = float(learned.wider_thresholds[regime]) if min_confidence is None else min_confidence
    if float(wider_confidence[0]) >= wider_threshold:
        sure = float(wider_confidence[0])
        nodes = {best: confidence, wider[0]: sure}
        return Decision((wider[0],), sure, by_genre, None, tuple(reversed(nodes.items())))
    return Decision((), confidence, by_genre, f"confidence {format_below(confidence, threshold)}")


def likeliest_wider(probabilities: Array, regime: int, learned: LearnedVocabulary) -> tuple[list[str], Array]:
    """Return the likeliest widest genre of each song and the confidence in it, 0 if that is no wider genre.

    Parameters
    ----------
    probabilities : ndarray, shape (n, n_genres)
    regime : int
        `STRANGER` or `KNOWN`.
    learned : LearnedVocabulary
    """
    groups = [learned.wider.get(genre, genre) for genre in learned.genres]
    names = [*dict.fromkeys(groups)]
    sums, is_wider = group_sums(probabilities, groups, learned.genres)
    best = sums.argmax(axis=-1)
    confidence = confidence_of(sums, learned.wider_slopes[regime], learned.wider_biases[regime])
    return [names[column] for column in best], np.where(is_wider[best], confidence, 0.0)


def group_sums(
    probabilities: Array, groups: Sequence[str], genres: Sequence[str]
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Sum the probabilities of genres by groups, in the order in which these are named first.

    Returns
    -------
    sums : ndarray, shape (n, n_groups)
    is_wider : ndarray of bool, shape (n_groups,)
        Whether a group is more than one genre by its own name.
    """
    names = [*dict.fromkeys(groups)]
    members = np.array([[group == name for name in names] for group in groups])
    is_wider = [any(group == name != genre for group, genre in zip(groups, genres, strict=True)) for name in names]
    return np.asarray(probabilities @ members), np.array(is_wider)


def decide_by_evidence(
    features: Array,
    leaf_probabilities: Array,
    artist: Company,
    album: Company,
    learned: LearnedVocabulary,
    columns: Ints,
    *,
    min_confidence: float | None = None,
) -> JoinedEvidence:
    """Decide the genre of a song.

    Parameters
    ----------
    features : ndarray, shape (n, n_features)
        See `evidence_features`; the first row is the song, the others are songs of its artist and album.
    leaf_probabilities : ndarray, shape (n, n_leaves)
        By the shipped tree.
    artist, album : Company
        Other songs of its artist and album.
    learned : LearnedVocabulary
    columns : ndarray of int
        See `coarse_columns`.
    min_confidence : float or None
        None for the threshold that was learned.
    """
    scores_of_all = (
        shipped_scores(leaf_probabilities, learned.leaf_genres),
        head_scores(features[:, columns], learned.coarse_weights, learned.coarse_bias),
        head_scores(features, learned.fine_weights, learned.fine_bias),
    )
    own, by_artist, by_album = (
        [kind[rows].mean(axis=0) for kind in scores_of_all]
        for rows in (np.array([0]), np.append(artist.rows, 0), np.append(album.rows, 0))
    )
    counts = [company.genre_counts for company in (artist, album)]
    scores = [*own, *by_artist, *by_album, *(tag_scores(count, learned.frequencies) for count in counts)]
    regime = KNOWN if sum(count.sum() for count in counts) > 0 else STRANGER
    weights = learned.evidence_weights[regime]
    probabilities = join_evidence([*scores, np.log(learned.frequencies)], weights)
    decision = decide_by_probabilities(probabilities, regime, learned, min_confidence=min_confidence)
    heads = join_evidence(own[1:], weights[1:3] if weights[1:3].any() else np.array([0.1, 0.0]))
    return JoinedEvidence(decision, {"sound": np.exp(own[0]), "learned": heads})
