"""The figures of the genre tree in the model card: held-out sources first, held-out artists of known sources beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tree_calibration import Confidences, Rule, right_of
from tree_clips import LABELS, Ints
from tree_features import ORIGINAL, Array
from tree_songs import Mask, Songs

DRAWS = 1000
FIFTHS = 5

Figure = dict[str, float]


def operating_figures(songs: Songs, written: Array, chosen: Mask, *, by_fold: bool = False) -> dict[str, Figure]:
    """Return the share of clips written, and of these the share that is right.

    Parameters
    ----------
    songs : Songs
    written : ndarray, shape (n_clips,)
        Column of the label written for each clip, -1 for none.
    chosen : ndarray of bool, shape (n_clips,)
    by_fold : bool
        Whether a large source counts as no more than `COUNTED_FULLY` clips.
    """
    weights = songs.fold_weights if by_fold else np.ones(len(written))
    is_written = written >= 0
    return {
        "written": _share(songs.folds, is_written, chosen, weights),
        "precision": _share(songs.folds, right_of(songs, written), chosen & is_written, weights),
    }


def source_figures(songs: Songs, names: list[str], written: Array) -> list[dict[str, Any]]:
    """Return clips, written and right of each fold."""
    right = right_of(songs, written)
    parts = [(name, songs.inside & (songs.folds == number)) for number, name in enumerate(names)]
    return [_counts(name, part, written >= 0, right) for name, part in parts if part.any()]


def genre_figures(songs: Songs, written: Array) -> list[dict[str, Any]]:
    """Return for each label how often it was written and right, and by how many sources right."""
    right = right_of(songs, written) & songs.inside
    found = []
    for column, label in enumerate(LABELS):
        chosen = songs.inside & (written == column)
        if chosen.any():
            sources = len(songs.sources(chosen & right))
            found.append(
                {"genre": label, "written": int(chosen.sum()), "right": int(right[chosen].sum()), "sources": sources}
            )
    return found


def calibration_figures(songs: Songs, confidences: Confidences) -> list[dict[str, float]]:
    """Return mean confidence in the best top genre and how often it is right, by fifths of the range."""
    confidence = confidences.top_confidence
    right = songs.right[np.arange(len(confidence)), confidences.top.astype(int)]
    found = []
    for number in range(FIFTHS):
        low, high = number / FIFTHS, (number + 1) / FIFTHS
        part = songs.inside & (confidence >= low) & (confidence < high if number < FIFTHS - 1 else confidence <= high)
        weights = songs.fold_weights[part]
        found.append(
            {
                "from": low,
                "n": int(part.sum()),
                "confidence": float(confidence[part].mean()),
                "right": float(right[part].mean()),
                "confidence, sources alike": float(np.average(confidence[part], weights=weights)),
                "right, sources alike": float(np.average(right[part], weights=weights)),
            }
        )
    return found


def outside_figures(songs: Songs, written: Array) -> dict[str, dict[str, int]]:
    """Return how much of what has no genre of the tree gets one all the same."""
    parts = {"world music": songs.world_only, "other music": songs.outside, "noise and speech": songs.no_music}
    return {name: {"n": int(part.sum()), "written": int((written[part] >= 0).sum())} for name, part in parts.items()}


def copy_figures(songs: Songs, confidences: Mapping[str, Confidences], rule: Rule) -> dict[str, dict[str, int]]:
    """Return what becomes of altered copies of clips, by kind of copy."""
    written = {copy: found.written(rule.writable, rule.min_confidence) for copy, found in confidences.items()}
    judged = np.array([clip.is_judged for clip in songs.clips])
    before = written.pop(ORIGINAL)
    had = judged & (before >= 0)
    found = {}
    for copy, after in written.items():
        new = judged & (before < 0) & (after >= 0)
        found[copy] = {
            "written before": int(had.sum()),
            "same": int((had & (after == before)).sum()),
            "unsure": int((had & (after < 0)).sum()),
            "another": int((had & (after >= 0) & (after != before)).sum()),
            "newly written": int(new.sum()),
            "newly written, wrong": int((new & ~right_of(songs, after)).sum()),
        }
    return found


def child_figures(songs: Songs, confidences: Confidences, rule: Rule, children: list[str]) -> list[dict[str, Any]]:
    """Return how often each child would have been written and right, where labels tell it from its parent."""
    found = []
    for label in children:
        column = LABELS.index(label)
        written = confidences.written(rule.writable | {label}, rule.min_confidence) == column
        written = written & songs.inside & songs.determinate
        right = written & songs.right[:, column]
        found.append(
            {
                "genre": label,
                "written": int(written.sum()),
                "right": int(right.sum()),
                "sources": len(songs.sources(right)),
            }
        )
    return found


def _counts(name: str, part: Mask, is_written: Mask, right: Mask) -> dict[str, Any]:
    return {
        "source": name,
        "n": int(part.sum()),
        "written": int((part & is_written).sum()),
        "right": int((part & right).sum()),
    }


def _share(folds: Ints, hits: Mask, chosen: Mask, weights: Array) -> Figure:
    """Return a weighted share with a 95% interval, folds drawn with replacement; clips, if all are of one fold."""
    if len(np.unique(folds[chosen])) == 1:
        folds = np.arange(len(folds))
    n_folds = int(folds.max()) + 1
    total = np.bincount(folds[chosen], weights[chosen], n_folds)
    found = np.bincount(folds[chosen], (weights * hits)[chosen], n_folds)
    present = np.flatnonzero(np.bincount(folds[chosen], minlength=n_folds))
    drawn = np.random.default_rng(0).choice(present, (DRAWS, len(present)))
    shares = found[drawn].sum(axis=1) / np.maximum(total[drawn].sum(axis=1), 1e-9)
    low, high = np.percentile(shares, [2.5, 97.5])
    value = found.sum() / total.sum()
    counts = {"n": int(chosen.sum()), "hits": int((hits & chosen).sum())}
    return {"value": float(value), "low": float(low), "high": float(high), **counts}
