"""What turns a song's activations into an honest confidence, and the threshold from which on to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision import log_odds
from genrify_tagger.training.data import GENRES, Clip
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import right

PRECISION = 0.93
# How many songs of a library are assumed to be of none of the ten genres. Among the judged songs there are more; taken
# as they come, they would make the confidence in every song of the ten too low.
OUTSIDE_SHARE = 0.1
BINS = 10
COMPANION = 0.3

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """Songs whose activations come from networks that had not met them.

    Attributes
    ----------
    conditional : ndarray, shape (n, 10)
        Scores given that one of the ten fits.
    inside : ndarray, shape (n,)
        Probability that one of the ten fits.
    answers : ndarray of bool, shape (n, 10)
        Which genres count as right.
    right : ndarray of bool, shape (n,)
    """

    conditional: Array
    inside: Array
    answers: npt.NDArray[np.bool_]
    right: npt.NDArray[np.bool_]


def judged(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> Judged:
    """Gather the songs that were judged, once for every run."""
    chosen, kept = _judged_clips(clips, runs)
    joint = np.concatenate([run[chosen] for run in runs]).astype(np.float64)
    inside = joint[:, :-1].sum(axis=1)
    answers = np.array([[genre in clip.answers for genre in GENRES] for clip in kept])
    hits = np.concatenate([right(kept, run[chosen]) for run in runs])
    return Judged(joint[:, :-1] / inside[:, np.newaxis], inside, np.tile(answers, (len(runs), 1)), hits)


def _judged_clips(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> tuple[npt.NDArray[np.bool_], list[Clip]]:
    chosen = np.array(np.isfinite(runs[0]).all(axis=1), bool)
    return chosen, [clips[index] for index in np.flatnonzero(chosen).tolist()]


def library_weights(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> Array:
    """Weigh the judged songs like those of a library, shape (n,).

    Songs with several genres at their source have no weight, for what is right for them is too vague to calibrate by;
    nor have sounds that are no music.
    """
    _, kept = _judged_clips(clips, runs)
    known = np.array([clip.single and bool(clip.answers) for clip in kept])
    outside = np.array([not clip.answers and clip.part != "synthetic" for clip in kept])
    share = OUTSIDE_SHARE / (1 - OUTSIDE_SHARE) * known.sum() / max(1, outside.sum())
    return np.tile(np.where(known, 1.0, np.where(outside, share, 0.0)), len(runs))


def fit(songs: Judged, weights: Array) -> dict[str, float]:
    """Fit the numbers that `decision.decide` calibrates by."""
    temperature = _fit_temperature(songs, weights)
    evidence = _evidence(temper(songs.conditional, temperature), songs.inside)
    bias, top, inside = _fit_confidence(evidence, songs.right, weights)
    return {"temperature": temperature, "bias": bias, "top": top, "inside": inside, "companion": COMPANION}


def temper(conditional: Array, temperature: float) -> Array:
    """Divide the logarithms of probabilities (n, 10) by a temperature."""
    powers = np.maximum(conditional, 1e-6) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def confidences(songs: Judged, calibration: Mapping[str, float]) -> Array:
    """Return each song's confidence as `decision.decide` computes it."""
    evidence = _evidence(temper(songs.conditional, calibration["temperature"]), songs.inside)
    weights = np.array([calibration["top"], calibration["inside"]])
    return np.asarray(1 / (1 + np.exp(-(evidence @ weights + calibration["bias"]))))


def choose_threshold(
    confidence: Array, hits: npt.NDArray[np.bool_], weights: Array, precision: float = PRECISION
) -> float:
    """Return the lowest threshold, in hundredths, at which what is written is right as often as asked; 1 if none is."""
    for hundredths in range(1, 100):
        written = weights * (confidence >= hundredths / 100)
        if written.sum() > 0 and (written * hits).sum() / written.sum() >= precision:
            return hundredths / 100
    return 1.0


def calibration_error(confidence: Array, hits: npt.NDArray[np.bool_]) -> float:
    """Return the expected calibration error over ten equal bins of confidence (Guo et al., ICML 2017)."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].mean() - hits[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return float(np.sum(gaps))


def _fit_temperature(songs: Judged, weights: Array) -> float:
    """Find the temperature under which the answers are likeliest, by a scan (the likelihood has one peak)."""
    known = songs.answers.any(axis=1) & (weights > 0)
    conditional, answers = songs.conditional[known], songs.answers[known]

    def loss(temperature: float) -> float:
        return float(-np.log((temper(conditional, temperature) * answers).sum(axis=1)).mean())

    return float(min(np.round(np.arange(0.4, 2.5, 0.02), 2), key=loss))


def _evidence(scores: Array, inside: Array) -> Array:
    return np.array([[log_odds(s), log_odds(i)] for s, i in zip(scores.max(axis=1), inside, strict=True)])


def _fit_confidence(evidence: Array, hits: npt.NDArray[np.bool_], weights: Array) -> tuple[float, float, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0).fit(evidence, hits, sample_weight=weights)
    return float(model.intercept_[0]), float(model.coef_[0, 0]), float(model.coef_[0, 1])


def populations(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> dict[str, npt.NDArray[np.bool_]]:
    """Name the sets of songs that calibration is reported on; rows as in `judged`."""
    _, kept = _judged_clips(clips, runs)
    masks = {
        "one genre, of the ten": [clip.single and bool(clip.answers) for clip in kept],
        "several genres, some of the ten": [not clip.single and bool(clip.answers) for clip in kept],
        "none of the ten": [not clip.answers and clip.part != "synthetic" for clip in kept],
        "no music": [clip.part == "synthetic" for clip in kept],
        "GTZAN validation list": [clip.part == "gtzan_valid" for clip in kept],
    }
    return {name: np.tile(np.array(mask), len(runs)) for name, mask in masks.items()}


def library_precision(
    confidence: Array, hits: npt.NDArray[np.bool_], weights: Array, threshold: float
) -> dict[str, float]:
    """Return the share of a library that is written at a threshold, and how much of that is right."""
    written = weights * (confidence >= threshold)
    return {
        "written": float(written.sum() / weights.sum()),
        "precision": float((written * hits).sum() / written.sum()) if written.any() else float("nan"),
    }


def outcome(confidence: Array, hits: npt.NDArray[np.bool_], threshold: float) -> dict[str, float]:
    """Return how many songs are written at a threshold, how many of these rightly, and the calibration error."""
    written = confidence >= threshold
    return {
        "songs": len(hits),
        "right": float(hits.mean()),
        "written": float(written.mean()),
        "written and wrong": float((written & ~hits).mean()),
        "precision": float(hits[written].mean()) if written.any() else float("nan"),
        "calibration error": calibration_error(confidence, hits),
    }
