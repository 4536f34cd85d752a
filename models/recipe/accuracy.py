"""Accuracy and intervals of the model card, from the cross-validations.

All figures are over clips whose artist the network was not trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from clips import OUTSIDE, SourceClip
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK
from genrify_tagger.training.musicnn_weights import FloatArray

GROUPS = ("blues", "country", "hiphop", "jazz", "reggae", "pop/rock")
DRAWS = 2000

Figure = dict[str, float]
Statistic = Callable[[npt.NDArray[np.int64]], float]


def group_of(clip: SourceClip) -> str | None:
    """Return the group of a single-genre AllMusic clip, one of six, or None."""
    if clip.part != "allmusic" or not clip.single or not clip.answers:
        return None
    name = "pop/rock" if clip.answers == POP_ROCK else next(iter(clip.answers))
    return name if name in GROUPS else None


def group_decisions(joint: FloatArray) -> list[str]:
    """Return the group of each clip's best genre; pop, rock and metal are one group."""
    names = ["pop/rock" if genre in POP_ROCK else genre for genre in GENRES]
    return [names[best] for best in np.argmax(joint[:, :-1], axis=1)]


def right_songs(clips: Sequence[SourceClip], joint: FloatArray) -> npt.NDArray[np.bool_]:
    """Return for every clip whether its best genre of the ten is one of the answers; False where it has none."""
    best = np.argmax(joint[:, :-1], axis=1)
    return np.array([GENRES[index] in clip.answers for index, clip in zip(best, clips, strict=True)])


def accuracy_figures(clips: Sequence[SourceClip], runs: Sequence[FloatArray]) -> dict[str, Figure]:
    """Compute the figures of the card, averaged over repeated cross-validations.

    Parameters
    ----------
    clips : sequence of SourceClip
    runs : sequence of ndarray, shape (n_clips, 11)
        Sharpened (`calibration_songs.sharpened`), so that the best genre is the one the tagger would choose.

    Returns
    -------
    dict of str to dict
        `value`, `low`, `high` (95%, artists drawn with replacement) and `n` of each figure.
    """
    groups = np.array([group_of(clip) or "" for clip in clips])
    hits = np.mean([np.array(group_decisions(joint)) == groups for joint in runs], axis=0)
    found = {"micro": artist_bootstrap(clips, groups != "", lambda chosen: float(hits[chosen].mean()))}

    def macro(chosen: npt.NDArray[np.int64]) -> float:
        parts = [hits[chosen[groups[chosen] == name]] for name in GROUPS]
        return float(np.mean([part.mean() for part in parts if len(part)]))

    found["macro"] = artist_bootstrap(clips, groups != "", macro)
    for name in sorted(set(GROUPS) & set(groups)):
        found[name] = artist_bootstrap(clips, groups == name, lambda chosen: float(hits[chosen].mean()))
    valid = np.array([clip.part == "gtzan_valid" for clip in clips])
    top = np.mean([right_songs(clips, joint) for joint in runs], axis=0)
    found["gtzan_valid"] = artist_bootstrap(clips, valid, lambda chosen: float(top[chosen].mean()))
    outside = np.array([clip.part == "allmusic" and OUTSIDE in clip.allowed for clip in clips])
    doubt = np.mean([joint[:, -1] for joint in runs], axis=0)
    found["auroc_outside"] = artist_bootstrap(
        clips, (groups != "") | outside, lambda chosen: auroc(doubt[chosen], outside[chosen])
    )
    return found


def artist_bootstrap(clips: Sequence[SourceClip], chosen: npt.NDArray[np.bool_], statistic: Statistic) -> Figure:
    """Return a statistic of the chosen clips with its 95% interval over artists (over clips within GTZAN)."""
    rng = np.random.default_rng(0)
    members: dict[str, list[int]] = {}
    for index in np.flatnonzero(chosen).tolist():
        clip = clips[index]
        members.setdefault(clip.path if clip.part == "gtzan_valid" else clip.artist, []).append(index)
    sets = [np.array(indices) for indices in members.values()]
    draws = []
    for _ in range(DRAWS):
        picks = rng.integers(len(sets), size=len(sets))
        draws.append(statistic(np.concatenate([sets[pick] for pick in picks])))
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    value = statistic(np.flatnonzero(chosen))
    return {"value": value, "low": float(low), "high": float(high), "n": float(chosen.sum())}


def auroc(scores: FloatArray, positive: npt.NDArray[np.bool_]) -> float:
    """Return the probability that a positive scores higher than a negative; NaN without both."""
    highs, lows = scores[positive], np.sort(scores[~positive])
    if not len(highs) or not len(lows):
        return float("nan")
    below = np.searchsorted(lows, highs, side="left") + np.searchsorted(lows, highs, side="right")
    return float(below.mean() / (2 * len(lows)))
