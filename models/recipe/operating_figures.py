"""What a threshold writes and how much of it is right, for `gtzan` and for `broad`.

All figures are over clips whose artist the network was not trained on. Those of `gtzan` are calibrated, and their
threshold chosen, without the fold they are computed on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import broad_head
from accuracy import Figure, artist_bootstrap, auroc
from calibration_songs import ALIKE, gather_songs, library_weights, nested_confidences, populations
from clips import NO_MUSIC, SourceClip
from cross_validation import fold_numbers
from genrify_tagger.training.calibration import choose_threshold
from genrify_tagger.training.metrics import calibration_error, reliability
from genrify_tagger.training.musicnn_weights import FloatArray

FEWEST = 10
BROAD_PRECISION = 0.9

Indices = npt.NDArray[np.int64]


def inside_weights(clips: Sequence[SourceClip], runs: Sequence[FloatArray]) -> npt.NDArray[np.float64]:
    """Return weights for choosing the threshold: 1 for songs of one genre of the ten, 0 for all others."""
    known = np.isfinite(runs[0]).all(axis=1)
    return np.tile(populations(clips)["one genre, of the ten"][known].astype(float), len(runs))


def genre_operating_figures(
    clips: Sequence[SourceClip], runs: Sequence[FloatArray], seeds: Sequence[int]
) -> dict[str, Any]:
    """Compute what the threshold writes, for every population of clips.

    Returns
    -------
    dict
        By population: `right` (if always written), `written`, `wrong` (of all), `precision` (of those written) and
        `calibration_error`, each with its interval.
    """
    known = np.array(np.isfinite(runs[0]).all(axis=1), bool)
    tables = [_nested_run(clips, run, known, seed) for run, seed in zip(runs, seeds, strict=True)]
    confidence, written, hits = (np.stack([table[row] for table in tables]) for row in range(3))

    def error(chosen: Indices) -> float:
        return float(
            np.mean(
                [
                    calibration_error(reliability(c[chosen], h[chosen] > 0))
                    for c, h in zip(confidence, hits, strict=True)
                ]
            )
        )

    statistics: dict[str, Callable[[Indices], float]] = {
        "right": lambda chosen: float(hits[:, chosen].mean()),
        "written": lambda chosen: float(written[:, chosen].mean()),
        "wrong": lambda chosen: float((written * (1 - hits))[:, chosen].mean()),
        "precision": lambda chosen: _ratio((written * hits)[:, chosen].sum(), written[:, chosen].sum()),
        "calibration_error": error,
    }
    return {
        population: {name: artist_bootstrap(clips, mask & known, statistic) for name, statistic in statistics.items()}
        for population, mask in populations(clips).items()
    }


def _nested_run(clips: Sequence[SourceClip], run: FloatArray, known: npt.NDArray[np.bool_], seed: int) -> FloatArray:
    """Return confidence, whether written and whether right of every clip, shape (3, n_clips)."""
    songs = gather_songs(clips, [run])
    weights, inside = library_weights(clips, [run]), inside_weights(clips, [run])
    confidence, threshold = nested_confidences(songs, weights, inside, fold_numbers(clips, seed)[known], ALIKE)
    table = np.zeros((3, len(clips)), np.float32)
    table[:, known] = np.stack([confidence, confidence >= threshold, songs.right])
    return table


def broad_calibration(
    clips: Sequence[SourceClip], runs: Sequence[FloatArray], tags: FloatArray
) -> tuple[dict[str, float], float]:
    """Fit calibration and threshold of `broad` on what cross-validation predicted.

    Parameters
    ----------
    clips : sequence of SourceClip
    runs : sequence of ndarray, shape (n_clips, n_trained)
    tags : ndarray, shape (n_clips, n_tagged)
    """
    predicted = np.isfinite(runs[0]).all(axis=1)
    truth = np.concatenate([broad_head.acceptable(clips, run)[predicted] for run in runs])
    calibration = broad_head.fit_broad_calibration(np.concatenate([run[predicted] for run in runs]), truth)
    songs = np.concatenate([broad_head.broad_scores(run, calibration, broad_head.TRAINED) for run in runs])
    answers = np.tile(broad_head.filed_under(clips), (len(runs), 1))
    known = np.tile([clip.part == "allmusic" for clip in clips], len(runs))
    top = songs[known].argmax(axis=1)
    hits = answers[known][np.arange(len(top)), top]
    threshold = choose_threshold(songs[known].max(axis=1).astype(float), hits, np.ones(len(top)), BROAD_PRECISION)
    of_allmusic = tags[[clip.part == "allmusic" for clip in clips]]
    calibration |= broad_head.tag_biases(of_allmusic, slope=calibration["slope"], threshold=threshold)
    return {name: round(value, 4) for name, value in calibration.items()}, threshold


def broad_figures(
    clips: Sequence[SourceClip],
    runs: Sequence[FloatArray],
    tags: FloatArray,
    calibration: Mapping[str, float],
    threshold: float,
) -> dict[str, Any]:
    """Compute how well each label of `broad` is recognised, and what the threshold writes."""
    means = [np.concatenate([run, tags], axis=1) for run in runs]
    songs = np.stack([broad_head.broad_scores(mean, calibration, broad_head.LABELS) for mean in means])
    truth, filed = broad_head.truths(clips)[:, :-1], broad_head.filed_under(clips)
    of_music = np.array([clip.part in ("allmusic", "gtzan_valid") for clip in clips])
    labels = {}
    for column, label in enumerate(broad_head.LABELS):
        if label in broad_head.TAGGED:
            known, fits = np.array([clip.part == "allmusic" for clip in clips]), filed[:, column]
        else:
            known, fits = of_music & (truth[:, column] >= 0), truth[:, column] > 0
        labels[label] = _label_figures(clips, songs[:, :, column], known, fits, threshold)
    best = songs.argmax(axis=2)
    hits = np.stack([filed[np.arange(len(clips)), row] for row in best]).astype(float)
    written = (songs.max(axis=2) >= threshold).astype(float)
    allmusic = np.array([clip.part == "allmusic" for clip in clips])
    operating = {
        "written": artist_bootstrap(clips, allmusic, lambda chosen: float(written[:, chosen].mean())),
        "precision": artist_bootstrap(
            clips, allmusic, lambda chosen: _ratio((written * hits)[:, chosen].sum(), written[:, chosen].sum())
        ),
    }
    speech, noise = (np.array([clip.part == part for clip in clips]) for part in NO_MUSIC[::-1])
    spoken = written * (best == broad_head.LABELS.index("spoken"))
    return {
        "threshold": threshold,
        "labels": labels,
        "AllMusic": operating,
        "speech": {"written Spoken Word": _share(spoken[:, speech])},
        "no music": {"written": _share(written[:, noise])},
    }


def _label_figures(
    clips: Sequence[SourceClip],
    values: FloatArray,
    known: npt.NDArray[np.bool_],
    fits: npt.NDArray[np.bool_],
    threshold: float,
) -> dict[str, Any]:
    """Return figures of one label; `values` has a row for each run."""
    mean = np.nanmean(values, axis=0) if np.isfinite(values[:, known]).all() else values[0]
    given = known & (mean >= threshold)
    found: dict[str, Any] = {"n": int((known & fits).sum()), "of": int(known.sum())}
    if found["n"] >= FEWEST:
        found["auroc"] = artist_bootstrap(clips, known, lambda chosen: auroc(mean[chosen], fits[chosen]))
        found["average_precision"] = artist_bootstrap(
            clips, known, lambda chosen: _average_precision(mean[chosen], fits[chosen])
        )
    found["given"] = int(given.sum())
    found["given_rightly"] = int((given & fits).sum())
    return found


def _average_precision(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> float:
    """Return the mean over positives of the share of positives down to each; NaN without any."""
    ranked = positive[np.argsort(-scores, kind="stable")]
    if not ranked.any():
        return float("nan")
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def _share(values: FloatArray) -> Figure:
    return {"value": float(values.mean()), "n": float(values.shape[1])}


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
