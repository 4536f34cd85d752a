"""Cross-validation of the head of the ten genres, grouped by artist."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clips import CLASSES, SourceClip
from embeddings import SegmentEmbeddings
from genre_head import HeadOptions, genre_probabilities, train_genre_head
from genrify_tagger.training.musicnn_weights import FloatArray

FOLDS = 5
NEVER_TRAINED_ON = ("gtzan_valid", "slivers_valid")


def cross_validate_genres(
    clips: Sequence[SourceClip],
    training: SegmentEmbeddings,
    test: SegmentEmbeddings,
    *,
    seed: int,
    options: HeadOptions | None = None,
) -> FloatArray:
    """Predict every clip with a head trained on neither it nor its artist.

    GTZAN's train list is in every training set and its validation list in none; the other clips take turns in five
    folds.

    Parameters
    ----------
    clips : sequence of SourceClip
    training, test : SegmentEmbeddings
    seed : int
    options : HeadOptions or None

    Returns
    -------
    ndarray, shape (n_clips, 11)
        Mean class probabilities of each song; NaN for the clips that are in every training set.
    """
    folds = fold_numbers(clips, seed)
    joint = np.full((len(clips), len(CLASSES)), np.nan, np.float32)
    usable = np.array([clip.part not in NEVER_TRAINED_ON and bool(clip.allowed) for clip in clips])
    for fold in range(FOLDS):
        held_out = folds == fold
        segments = training.of_clips(usable & ~held_out)
        head = train_genre_head(clips, segments, seed=seed * 100 + fold, options=options)
        songs = test.of_clips(held_out)
        joint[held_out] = song_means(genre_probabilities(head, songs.embedding), songs.owner, len(clips))[held_out]
    return joint


def fold_numbers(clips: Sequence[SourceClip], seed: int) -> npt.NDArray[np.int64]:
    """Assign clips to folds by artist, stratified by label; -1 for GTZAN's train list."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = np.full(len(clips), -1)
    turn = np.array(
        [index for index, clip in enumerate(clips) if clip.part in ("allmusic", "more", "synthetic", "speech")]
    )
    labels = _strata([clips[index] for index in turn.tolist()])
    artists = [clips[index].artist for index in turn]
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    for fold, (_, chosen) in enumerate(splitter.split(turn, labels, artists)):
        folds[turn[chosen]] = fold
    valid = np.array([index for index, clip in enumerate(clips) if clip.part == "gtzan_valid"])
    folds[valid] = np.arange(len(valid)) % FOLDS
    return folds


def _strata(clips: Sequence[SourceClip]) -> list[str]:
    """Name each clip's label; labels too rare to be in every fold share one name."""
    names = ["+".join(sorted(clip.allowed)) for clip in clips]
    return [name if names.count(name) >= FOLDS else "rare" for name in names]


def song_means(values: FloatArray, owner: npt.NDArray[np.int64], n_clips: int) -> FloatArray:
    """Average segments into songs, shape (n_clips, n_columns)."""
    sums = np.zeros((n_clips, values.shape[1]))
    np.add.at(sums, owner, values)
    return np.asarray(sums / np.maximum(np.bincount(owner, minlength=n_clips), 1)[:, np.newaxis], np.float32)
