"""The evidence on each song of the library, as if the song, or its artist, had no genre yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision.evidence import KNOWN, STRANGER, shipped_scores, tag_scores
from genrify_tagger.learn.discriminant import Discriminant, DiscriminantTrainer, Features, Ints
from genrify_tagger.learned_vocabulary import SOUND_KINDS

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

FOLDS = 5
COARSE_SHRINKAGE, FINE_SHRINKAGE = 0.3, 0.5
_LEAF_PRIOR = 5.0  # songs in the library's proportions that are added to each leaf


@dataclass(frozen=True, eq=False)
class Songs:
    """Songs with what is known of them; those without a genre take part with their sound alone.

    Attributes
    ----------
    features : ndarray, shape (n, n_features)
        See `decision.evidence.evidence_features`.
    coarse_columns : ndarray of int
        Those of the features that the coarse head is fed.
    leaf_probabilities : ndarray, shape (n, n_leaves)
        By the shipped tree.
    genres : ndarray of int, shape (n,)
        Column of each song's first genre; -1 where there is none that can be learned.
    allowed : ndarray of bool, shape (n, n_genres)
        All genres that are right.
    judged : ndarray of bool, shape (n,)
        Songs with a trusted genre, also with one that cannot be learned: whatever is said of these is wrong.
    artists, albums : ndarray of int, shape (n,)
        Number of each song's artist and album; -1 for none.
    weights : ndarray, shape (n,)
        The weight of each song.
    """

    features: Features
    coarse_columns: Ints
    leaf_probabilities: Array
    genres: Ints
    allowed: Mask
    judged: Mask
    artists: Ints
    albums: Ints
    weights: Array

    @property
    def n_genres(self) -> int:
        """Number of genres."""
        return int(self.allowed.shape[1])

    @cached_property
    def coarse_features(self) -> Features:
        """What the coarse head is fed, shape (n, n_coarse)."""
        return self.features[:, self.coarse_columns]

    @cached_property
    def trained(self) -> Mask:
        """Which songs have a genre to learn from."""
        return np.asarray(self.genres >= 0)

    @cached_property
    def frequencies(self) -> Array:
        """Share of each genre among them, none 0."""
        counts = np.bincount(self.genres[self.trained], minlength=self.n_genres) + 0.5
        return np.asarray(counts / counts.sum())

    @cached_property
    def genre_counts(self) -> Array:
        """What each song adds to the counts of its artist and album, shape (n, n_genres)."""
        allowed = self.allowed & self.trained[:, np.newaxis]
        return np.asarray(allowed * (self.weights / np.maximum(allowed.sum(axis=1), 1))[:, np.newaxis])


def others(values: Array, groups: Ints) -> Array:
    """Return the sum of a group's values without the song's own; 0 for songs of no group."""
    return np.asarray(np.where((groups >= 0)[:, np.newaxis], _group_sums(values, groups)[groups] - values, 0.0))


def pooled(values: Array | Features, groups: Ints) -> Array:
    """Return the mean of each song's group; its own values for songs of no group."""
    sums = _group_sums(values, groups)
    sizes = np.bincount(np.where(groups < 0, len(sums) - 1, groups), minlength=len(sums))
    means = sums / np.maximum(sizes, 1)[:, np.newaxis]
    return np.asarray(np.where((groups >= 0)[:, np.newaxis], means[groups], values))


def _group_sums(values: Array | Features, groups: Ints) -> Array:
    """Return sums by group; the last row is for songs of no group."""
    sums = np.zeros((int(groups.max(initial=-1)) + 2, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


def artist_folds(songs: Songs, seed: int = 0) -> Ints:
    """Return a fold for each song, that of its artist; songs of no artist each have their own."""
    rng = np.random.default_rng(seed)
    of_artist = rng.permutation(int(songs.artists.max(initial=-1)) + 1) % FOLDS
    own = rng.permutation(len(songs.artists)) % FOLDS
    return np.asarray(np.where(songs.artists >= 0, np.append(of_artist, 0)[songs.artists], own))


def song_folds(songs: Songs, seed: int = 1) -> Ints:
    """Return a fold for each song by itself."""
    return np.asarray(np.random.default_rng(seed).permutation(len(songs.artists)) % FOLDS)


def leaf_genres(songs: Songs, chosen: Mask | None = None) -> Array:
    """Return how often songs like each leaf have each genre, shape (n_leaves, n_genres); rows sum to 1."""
    rows = songs.trained if chosen is None else songs.trained & chosen
    one_hot = np.eye(songs.n_genres)[songs.genres[rows]] * songs.weights[rows, np.newaxis]
    mass = songs.leaf_probabilities[rows].T @ one_hot + _LEAF_PRIOR * songs.frequencies
    return np.asarray(mass / mass.sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class SoundHeads:
    """What tells genres by their sound: shipped leaves by genre, and the two heads."""

    leaf_genres: Array
    coarse: Discriminant
    fine: Discriminant

    def scores(self, songs: Songs, chosen: Mask) -> list[Features]:
        """Return the three scores of some songs."""
        rows = np.flatnonzero(chosen)
        return [
            shipped_scores(songs.leaf_probabilities[rows], self.leaf_genres).astype(np.float32),
            self.coarse.scores(songs.coarse_features, rows),
            self.fine.scores(songs.features, rows),
        ]


def train_heads(songs: Songs) -> SoundHeads:
    """Train on all songs that have a genre."""
    coarse, fine = (trainer.train() for trainer in _trainers(songs))
    return SoundHeads(leaf_genres(songs), coarse, fine)


def held_out_heads(songs: Songs, folds: Ints) -> list[SoundHeads]:
    """Return for each fold what was trained without it."""
    coarse, fine = (trainer.held_out(folds) for trainer in _trainers(songs))
    pairs = enumerate(zip(coarse, fine, strict=True))
    return [SoundHeads(leaf_genres(songs, folds != fold), *heads) for fold, heads in pairs]


def _trainers(songs: Songs) -> list[DiscriminantTrainer]:
    views = (songs.coarse_features, COARSE_SHRINKAGE), (songs.features, FINE_SHRINKAGE)
    return [
        DiscriminantTrainer(view, songs.genres, songs.weights, songs.n_genres, shrinkage) for view, shrinkage in views
    ]


def sound_evidence(songs: Songs, heads: SoundHeads, rows: Mask) -> list[Features]:
    """Return the kinds of evidence that come from the sound, for some songs, in order of `KINDS`."""
    needed = rows | np.isin(songs.artists, songs.artists[rows & (songs.artists >= 0)])
    needed |= np.isin(songs.albums, songs.albums[rows & (songs.albums >= 0)])
    own = heads.scores(songs, needed)
    mine = rows[needed]
    groups = songs.artists[needed], songs.albums[needed]
    of_groups = (pooled(scores, group).astype(np.float32) for group in groups for scores in own)
    return [kind[mine] for kind in (*own, *of_groups)]


def held_out_evidence(songs: Songs, regime: int) -> list[Features]:
    """Return the evidence on every song in order of `KINDS`, each song's by heads that did not meet it.

    `STRANGER`: they did not meet its artist either, and no song of the artist has a genre; `KNOWN`: others may have.
    """
    folds = artist_folds(songs) if regime == STRANGER else song_folds(songs)
    sound = [np.zeros((len(folds), songs.n_genres), np.float32) for _ in range(3 * len(SOUND_KINDS))]
    for fold, heads in enumerate(held_out_heads(songs, folds)):
        rows = folds == fold
        for kind, values in zip(sound, sound_evidence(songs, heads, rows), strict=True):
            kind[rows] = values
    return [*sound, *tag_evidence(songs, are_known=regime == KNOWN)]


def tag_evidence(songs: Songs, *, are_known: bool = True) -> list[Features]:
    """Return the kinds of evidence that come from other songs' genres, and the frequency, in order of `KINDS`."""
    counts = songs.genre_counts if are_known else np.zeros_like(songs.genre_counts)
    tags = [tag_scores(others(counts, groups), songs.frequencies) for groups in (songs.artists, songs.albums)]
    evidence = [*tags, np.broadcast_to(np.log(songs.frequencies), counts.shape)]
    return [kind.astype(np.float32) for kind in evidence]


def has_tagged_company(songs: Songs) -> Mask:
    """Return which songs have an artist or album of which another song has a genre."""
    counts = songs.genre_counts
    company = others(counts, songs.artists).sum(axis=1) + others(counts, songs.albums).sum(axis=1)
    return np.asarray(company > 1e-9)
