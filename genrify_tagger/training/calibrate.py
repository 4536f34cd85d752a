"""What turns a song's activations into an honest confidence, and the threshold from which on to write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision import group_score, log_odds, sharpen, temper
from genrify_tagger.training.data import GENRES, NO_MUSIC, POP_ROCK, Clip
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import right

# More than the 93% promised: what is chosen on some songs holds less on others. The lowest of four tried with which 93%
# were right in the folds not chosen on.
PRECISION = 0.9375
# How many of the songs that confidence is fitted on are of none of the ten genres. Among the judged songs there are
# more; taken as they come, they would make the confidence in every song of the ten too low.
OUTSIDE_SHARE = 0.05
BINS = 10
COMPANION = 0.3
# Most labels of pop, rock and metal leave open which of them it is, so the network spreads what it gives to all three.
# Fitted to the few that say, likelihood would have 0.8; from 0.5 down the best of a song is nearly always of the kind
# that the three together make likelier than any other genre.
ALIKE_TEMPERATURE = 0.5
ALIKE = tuple(index for index, genre in enumerate(GENRES) if genre in POP_ROCK)
JUDGED = ("gtzan_valid", "allmusic", "more")

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
    """Gather the songs that were judged, once for every (sharpened) run."""
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
    nor have speech and sounds that are no music.
    """
    _, kept = _judged_clips(clips, runs)
    known = np.array([clip.single and bool(clip.answers) for clip in kept])
    outside = np.array([not clip.answers and clip.part not in NO_MUSIC for clip in kept])
    share = OUTSIDE_SHARE / (1 - OUTSIDE_SHARE) * known.sum() / max(1, outside.sum())
    return np.tile(np.where(known, 1.0, np.where(outside, share, 0.0)), len(runs))


def fit(songs: Judged, weights: Array, alike: Sequence[int] = ()) -> dict[str, float]:
    """Fit the numbers that `decision.decide` calibrates by; `alike` are columns hard to tell from one another."""
    temperature = _fit_temperature(songs, weights)
    evidence = _evidence(temper(songs.conditional, temperature), songs.inside, alike)
    used = [name for name in evidence if alike or name != "group"]
    bias, found = _fit_confidence(np.column_stack([evidence[name] for name in used]), songs.right, weights)
    numbers = {"temperature": temperature, "bias": bias, **dict(zip(used, found, strict=True)), "companion": COMPANION}
    return {"alike": ALIKE_TEMPERATURE, **numbers} if alike else numbers


def sharpened(joint: FloatArray, temperature: float = ALIKE_TEMPERATURE) -> FloatArray:
    """Return probabilities of the eleven classes, shape (n_clips, 11), as `decision.decide` treats those alike."""
    return np.asarray(sharpen(joint.astype(np.float64), ALIKE, temperature), np.float32)


def confidences(songs: Judged, calibration: Mapping[str, float], alike: Sequence[int] = ()) -> Array:
    """Return each song's confidence as `decision.decide` computes it."""
    evidence = _evidence(temper(songs.conditional, calibration["temperature"]), songs.inside, alike)
    total = sum(values * calibration.get(name, 0.0) for name, values in evidence.items())
    return np.asarray(1 / (1 + np.exp(-(total + calibration["bias"]))))


def nested(
    songs: Judged, weights: Array, inside: Array, parts: npt.NDArray[np.int64], alike: Sequence[int] = ()
) -> tuple[Array, Array]:
    """Judge every part of the songs by calibration and threshold fitted on the others.

    Parameters
    ----------
    songs : Judged
    weights, inside : ndarray, shape (n,)
        What songs count for when confidence is fitted, and when the threshold is chosen.
    parts : ndarray of int, shape (n,)
    alike : sequence of int

    Returns
    -------
    confidence, threshold : ndarray, shape (n,)
    """
    confidence, thresholds = np.empty(len(parts)), np.empty(len(parts))
    for part in np.unique(parts):
        there, others = parts == part, parts != part
        calibration = fit(_of(songs, others), weights[others], alike)
        fitted = confidences(_of(songs, others), calibration, alike)
        confidence[there] = confidences(_of(songs, there), calibration, alike)
        thresholds[there] = choose_threshold(fitted, songs.right[others], inside[others])
    return confidence, thresholds


def _of(songs: Judged, chosen: npt.NDArray[np.bool_]) -> Judged:
    return Judged(songs.conditional[chosen], songs.inside[chosen], songs.answers[chosen], songs.right[chosen])


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


def _evidence(scores: Array, inside: Array, alike: Sequence[int]) -> dict[str, Array]:
    return {
        "top": np.array([log_odds(float(row.max())) for row in scores]),
        "group": np.array([log_odds(group_score(row, alike)) for row in scores]),
        "inside": np.array([log_odds(float(value)) for value in inside]),
    }


def _fit_confidence(evidence: Array, hits: npt.NDArray[np.bool_], weights: Array) -> tuple[float, list[float]]:
    """Return the bias and a weight for each kind of evidence; what would count against the genre counts nothing."""
    from sklearn.linear_model import LogisticRegression

    used = np.ones(evidence.shape[1], bool)
    while True:
        model = LogisticRegression(C=100.0).fit(evidence[:, used], hits, sample_weight=weights)
        found = np.zeros(len(used))
        found[used] = model.coef_[0]
        if (found >= 0).all():
            return float(model.intercept_[0]), found.tolist()
        used &= found >= 0


def populations(clips: Sequence[Clip]) -> dict[str, npt.NDArray[np.bool_]]:
    """Name the sets of clips that calibration is reported on."""
    masks = {
        "one genre, of the ten": [clip.part in JUDGED and clip.single and bool(clip.answers) for clip in clips],
        "of these, AllMusic": [clip.part == "allmusic" and clip.single and bool(clip.answers) for clip in clips],
        "of these, GTZAN validation list": [clip.part == "gtzan_valid" for clip in clips],
        "several genres, some of the ten": [not clip.single and bool(clip.answers) for clip in clips],
        "none of the ten": [not clip.answers and clip.part not in NO_MUSIC for clip in clips],
        "no music": [clip.part == "synthetic" for clip in clips],
        "speech": [clip.part == "speech" for clip in clips],
    }
    return {name: np.array(mask) for name, mask in masks.items()}
