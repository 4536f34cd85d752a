"""What the threshold of `gtzan` writes and how much of it is right.

All figures are over clips whose artist the network was not trained on. They are calibrated, and their threshold chosen,
without the fold they are computed on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from accuracy import artist_bootstrap
from calibration_songs import ALIKE, gather_songs, library_weights, nested_confidences, populations
from clips import SourceClip
from cross_validation import fold_numbers
from genrify_tagger.training.metrics import calibration_error, reliability
from genrify_tagger.training.musicnn_weights import FloatArray

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


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
