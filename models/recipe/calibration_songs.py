"""The songs that confidence and threshold of `gtzan` are fitted on, and their weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from accuracy import right_songs
from clips import NO_MUSIC, SourceClip
from genrify_tagger.decision import sharpen
from genrify_tagger.training.calibration import (
    ALIKE_TEMPERATURE,
    CalibrationSongs,
    choose_threshold,
    confidences,
    fit_confidence,
)
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK
from genrify_tagger.training.musicnn_weights import FloatArray

# The share of songs outside the ten genres. There are more of them among the clips; unweighted, they would make the
# confidence in every song of the ten too low.
OUTSIDE_SHARE = 0.05
ALIKE = tuple(index for index, genre in enumerate(GENRES) if genre in POP_ROCK)
OF_THE_TEN = ("gtzan_valid", "allmusic", "more")

Array = npt.NDArray[np.float64]


def sharpened(joint: FloatArray, temperature: float = ALIKE_TEMPERATURE) -> FloatArray:
    """Return class probabilities (n_clips, 11) with pop, rock and metal sharpened as `decision.decide` does."""
    return np.asarray(sharpen(joint.astype(np.float64), ALIKE, temperature), np.float32)


def gather_songs(clips: Sequence[SourceClip], runs: Sequence[FloatArray]) -> CalibrationSongs:
    """Gather the predicted songs, once for every (sharpened) run."""
    chosen, kept = _predicted_clips(clips, runs)
    joint = np.concatenate([run[chosen] for run in runs]).astype(np.float64)
    inside = joint[:, :-1].sum(axis=1)
    answers = np.array([[genre in clip.answers for genre in GENRES] for clip in kept])
    hits = np.concatenate([right_songs(kept, run[chosen]) for run in runs])
    return CalibrationSongs(joint[:, :-1] / inside[:, np.newaxis], inside, np.tile(answers, (len(runs), 1)), hits)


def _predicted_clips(
    clips: Sequence[SourceClip], runs: Sequence[FloatArray]
) -> tuple[npt.NDArray[np.bool_], list[SourceClip]]:
    chosen = np.array(np.isfinite(runs[0]).all(axis=1), bool)
    return chosen, [clips[index] for index in np.flatnonzero(chosen).tolist()]


def library_weights(clips: Sequence[SourceClip], runs: Sequence[FloatArray]) -> Array:
    """Weight the songs so that their mix resembles a library, shape (n,).

    Songs with several genres at their source have no weight, because it is too vague what is right for them; nor have
    speech and non-musical sounds.
    """
    _, kept = _predicted_clips(clips, runs)
    known = np.array([clip.single and bool(clip.answers) for clip in kept])
    outside = np.array([not clip.answers and clip.part not in NO_MUSIC for clip in kept])
    share = OUTSIDE_SHARE / (1 - OUTSIDE_SHARE) * known.sum() / max(1, outside.sum())
    return np.tile(np.where(known, 1.0, np.where(outside, share, 0.0)), len(runs))


def nested_confidences(
    songs: CalibrationSongs, weights: Array, inside: Array, parts: npt.NDArray[np.int64], alike: Sequence[int] = ()
) -> tuple[Array, Array]:
    """Compute confidence and threshold of every part of the songs by what is fitted on the other parts.

    Parameters
    ----------
    songs : CalibrationSongs
    weights, inside : ndarray, shape (n,)
        Weights for fitting the confidence, and for choosing the threshold.
    parts : ndarray of int, shape (n,)
    alike : sequence of int

    Returns
    -------
    confidence, threshold : ndarray, shape (n,)
    """
    confidence, thresholds = np.empty(len(parts)), np.empty(len(parts))
    for part in np.unique(parts):
        here, others = parts == part, parts != part
        calibration = fit_confidence(songs.subset(others), weights[others], alike)
        fitted = confidences(songs.subset(others), calibration, alike)
        confidence[here] = confidences(songs.subset(here), calibration, alike)
        thresholds[here] = choose_threshold(fitted, songs.right[others], inside[others])
    return confidence, thresholds


def populations(clips: Sequence[SourceClip]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the sets of clips that the card reports on, by name."""
    masks = {
        "one genre, of the ten": [clip.part in OF_THE_TEN and clip.single and bool(clip.answers) for clip in clips],
        "of these, AllMusic": [clip.part == "allmusic" and clip.single and bool(clip.answers) for clip in clips],
        "of these, GTZAN validation list": [clip.part == "gtzan_valid" for clip in clips],
        "several genres, some of the ten": [not clip.single and bool(clip.answers) for clip in clips],
        "none of the ten": [not clip.answers and clip.part not in NO_MUSIC for clip in clips],
        "no music": [clip.part == "synthetic" for clip in clips],
        "speech": [clip.part == "speech" for clip in clips],
    }
    return {name: np.array(mask) for name, mask in masks.items()}
