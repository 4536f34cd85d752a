"""The figures of the model card and README: what the cross-validations amount to, with intervals.

All are over clips the judging network had met neither itself nor by artist; calibration and threshold are fitted
without the fold they are judged on, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.training import broad, calibrate
from genrify_tagger.training.data import NO_MUSIC, Clip
from genrify_tagger.training.musicnn import FloatArray
from genrify_tagger.training.validate import Figure, auroc, bootstrap, fold_numbers

SCHEMA = 1
FEWEST = 10
BROAD_PRECISION = 0.9

Folds = Sequence[npt.NDArray[np.int64]]
Indices = npt.NDArray[np.int64]


def inside_weights(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> npt.NDArray[np.float64]:
    """Weigh the judged songs for choosing the threshold: those of one genre, of the ten, and no others."""
    judged = np.isfinite(runs[0]).all(axis=1)
    return np.tile(calibrate.populations(clips)["one genre, of the ten"][judged].astype(float), len(runs))


def operating_figures(clips: Sequence[Clip], runs: Sequence[FloatArray], seeds: Sequence[int]) -> dict[str, Any]:
    """Compute what comes of writing genres from the threshold on, for every population of clips.

    Returns
    -------
    dict
        By population: `right` (if always written), `written`, `wrong` (of all), `precision` (of those written) and
        `calibration_error`, each with its interval.
    """
    judged = np.array(np.isfinite(runs[0]).all(axis=1), bool)
    tables = [_judge_run(clips, run, judged, seed) for run, seed in zip(runs, seeds, strict=True)]
    confidence, written, hits = (np.stack([table[row] for table in tables]) for row in range(3))

    def error(chosen: Indices) -> float:
        return float(
            np.mean(
                [calibrate.calibration_error(c[chosen], h[chosen] > 0) for c, h in zip(confidence, hits, strict=True)]
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
        population: {name: bootstrap(clips, mask & judged, statistic) for name, statistic in statistics.items()}
        for population, mask in calibrate.populations(clips).items()
    }


def _judge_run(clips: Sequence[Clip], run: FloatArray, judged: npt.NDArray[np.bool_], seed: int) -> FloatArray:
    """Return confidence, whether written and whether right of every clip, shape (3, n_clips)."""
    songs = calibrate.judged(clips, [run])
    weights, inside = calibrate.library_weights(clips, [run]), inside_weights(clips, [run])
    confidence, threshold = calibrate.nested(songs, weights, inside, fold_numbers(clips, seed)[judged], calibrate.ALIKE)
    table = np.zeros((3, len(clips)), np.float32)
    table[:, judged] = np.stack([confidence, confidence >= threshold, songs.right])
    return table


def broad_calibration(
    clips: Sequence[Clip], runs: Sequence[FloatArray], tags: FloatArray
) -> tuple[dict[str, float], float]:
    """Fit calibration and threshold of `broad` on what cross-validation predicted.

    Parameters
    ----------
    clips : sequence of Clip
    runs : sequence of ndarray, shape (n_clips, n_trained)
    tags : ndarray, shape (n_clips, n_tagged)
    """
    judged = np.isfinite(runs[0]).all(axis=1)
    truth = np.concatenate([broad.acceptable(clips, run)[judged] for run in runs])
    calibration = broad.fit_broad(np.concatenate([run[judged] for run in runs]), truth)
    songs = np.concatenate([broad.scores(run, calibration, broad.TRAINED) for run in runs])
    answers = np.tile(broad.filed_under(clips), (len(runs), 1))
    known = np.tile([clip.part == "allmusic" for clip in clips], len(runs))
    top = songs[known].argmax(axis=1)
    hits = answers[known][np.arange(len(top)), top]
    threshold = calibrate.choose_threshold(
        songs[known].max(axis=1).astype(float), hits, np.ones(len(top)), BROAD_PRECISION
    )
    of_allmusic = tags[[clip.part == "allmusic" for clip in clips]]
    calibration |= broad.tag_biases(of_allmusic, slope=calibration["slope"], threshold=threshold)
    return {name: round(value, 4) for name, value in calibration.items()}, threshold


def broad_figures(
    clips: Sequence[Clip],
    runs: Sequence[FloatArray],
    tags: FloatArray,
    calibration: Mapping[str, float],
    threshold: float,
) -> dict[str, Any]:
    """Compute for every label of `broad` how well it is told, and what comes of writing the best one."""
    means = [np.concatenate([run, tags], axis=1) for run in runs]
    songs = np.stack([broad.scores(mean, calibration, broad.LABELS) for mean in means])
    truth, filed = broad.truths(clips)[:, :-1], broad.filed_under(clips)
    of_music = np.array([clip.part in ("allmusic", "gtzan_valid") for clip in clips])
    labels = {}
    for column, label in enumerate(broad.LABELS):
        if label in broad.TAGGED:
            known, fits = np.array([clip.part == "allmusic" for clip in clips]), filed[:, column]
        else:
            known, fits = of_music & (truth[:, column] >= 0), truth[:, column] > 0
        labels[label] = _label_figures(clips, songs[:, :, column], known, fits, threshold)
    best = songs.argmax(axis=2)
    hits = np.stack([filed[np.arange(len(clips)), row] for row in best]).astype(float)
    written = (songs.max(axis=2) >= threshold).astype(float)
    allmusic = np.array([clip.part == "allmusic" for clip in clips])
    operating = {
        "written": bootstrap(clips, allmusic, lambda chosen: float(written[:, chosen].mean())),
        "precision": bootstrap(
            clips, allmusic, lambda chosen: _ratio((written * hits)[:, chosen].sum(), written[:, chosen].sum())
        ),
    }
    speech, noise = (np.array([clip.part == part for clip in clips]) for part in NO_MUSIC[::-1])
    spoken = written * (best == broad.LABELS.index("spoken"))
    return {
        "threshold": threshold,
        "labels": labels,
        "AllMusic": operating,
        "speech": {"written Spoken Word": _share(spoken[:, speech])},
        "no music": {"written": _share(written[:, noise])},
    }


def _label_figures(
    clips: Sequence[Clip],
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
        found["auroc"] = bootstrap(clips, known, lambda chosen: auroc(mean[chosen], fits[chosen]))
        found["average_precision"] = bootstrap(
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


def rounded(value: Any) -> Any:
    """Return values with four digits; what is no number is null."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value
