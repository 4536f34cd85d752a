"""The widest genres in the tree, for songs whose genre is unsure: Rock, where it is Hard Rock or Folk Rock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision.evidence import group_sums
from genrify_tagger.genre_spelling import Path, spelling, titled
from genrify_tagger.learn.evidence_fit import calibrated, choose_threshold

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

MIN_FITTED = 30  # unsure songs from which on wider genres are considered
NEVER = 2.0  # a threshold that no confidence reaches


@dataclass(frozen=True, eq=False)
class WiderGenres:
    """The widest genre of each learned one, itself if there is none, and which of these are right for each song.

    Attributes
    ----------
    by_genre : mapping of str to str
    allowed : ndarray of bool, shape (n_songs, n_groups)
        Groups in the order in which `by_genre` names them first.
    """

    by_genre: Mapping[str, str]
    allowed: Mask


@dataclass(frozen=True, eq=False)
class WiderFit:
    """Calibration and threshold of wider genres, and which of the judged songs would get one, and the right one."""

    slope: float
    bias: float
    threshold: float
    written: Mask
    right: Mask


def find_wider(genres: Sequence[str], named: Sequence[Sequence[str]], tree: Mapping[str, Path]) -> WiderGenres:
    """Return the widest genres of learned ones.

    Parameters
    ----------
    genres : sequence of str
        The learned ones.
    named : sequence of sequence of str
        All genres of each song, learned or not.
    tree : mapping of str to tuple of str
        Names from the root of the tree to a genre, by `spelling`.
    """
    words = {spelling(word): word for song in named for word in song}

    def widest(word: str) -> str:
        path = tree.get(spelling(word), ())
        return words.get(spelling(path[0]), titled(path[0])) if path else word

    by_genre = {genre: widest(genre) for genre in genres}
    columns = {name: column for column, name in enumerate(dict.fromkeys(by_genre.values()))}
    allowed = np.zeros((len(named), len(columns)), bool)
    for row, song in enumerate(named):
        allowed[row, [columns[name] for name in map(widest, song) if name in columns]] = True
    return WiderGenres(by_genre, allowed)


def fit_wider(
    wider: WiderGenres, probabilities: Array, is_unsure: Mask, allowed: Mask, weights: Array, precision: float
) -> WiderFit:
    """Fit when a wider genre is sure, on held-out songs whose own genre is not.

    Parameters
    ----------
    wider : WiderGenres
    probabilities : ndarray, shape (n_judged, n_genres)
    is_unsure : ndarray of bool, shape (n_judged,)
    allowed : ndarray of bool, shape (n_judged, n_groups)
        Of `wider`, for the judged songs.
    weights : ndarray, shape (n_judged,)
    precision : float
        The share of right ones that is wanted.
    """
    sums, is_wider = group_sums(probabilities, [*wider.by_genre.values()], [*wider.by_genre])
    best = sums.argmax(axis=1)
    chosen = np.flatnonzero(is_unsure & is_wider[best])
    written = np.zeros(len(is_unsure), bool)
    right = allowed[np.arange(len(best)), best]
    if len(chosen) < MIN_FITTED:
        return WiderFit(1.0, 0.0, NEVER, written, right & written)
    slope, bias, confidence = calibrated(sums[chosen], right[chosen], weights[chosen])
    threshold = choose_threshold(confidence, right[chosen], precision)
    written[chosen] = confidence >= threshold
    return WiderFit(slope, bias, threshold, written, right & written)
