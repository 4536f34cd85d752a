"""Artist-grouped cross-validation, and the figures drawn from it with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from genrify_tagger.training import broad
from genrify_tagger.training.data import CLASSES, GENRES, OUTSIDE, POP_ROCK, Clip
from genrify_tagger.training.head import Recipe, predict, train_head
from genrify_tagger.training.listening import Heard
from genrify_tagger.training.musicnn import FloatArray

FOLDS = 5
GROUPS = ("blues", "country", "hiphop", "jazz", "reggae", "pop/rock")
DRAWS = 2000

Figure = dict[str, float]
Statistic = Callable[[npt.NDArray[np.int64]], float]
Fit = Callable[[Heard, int], Callable[[Heard], FloatArray]]


def cross_validate(
    clips: Sequence[Clip],
    train: Heard,
    judge: Heard,
    *,
    seed: int,
    recipe: Recipe | None = None,
    fit: Fit | None = None,
    without: npt.NDArray[np.bool_] | None = None,
) -> FloatArray:
    """Judge every clip by a network that met neither it nor its artist.

    GTZAN's train list is always trained on and its validation list never; the other clips take turns in five folds.

    Parameters
    ----------
    clips : sequence of Clip
    train, judge : Heard
    seed : int
    recipe : Recipe or None
    fit : callable or None
        Trains something else than a head on the segments given, with the seed given (100 x `seed` + fold), and returns
        what judges songs: class probabilities (n_clips, 11) of the segments given to it.
    without : ndarray of bool, shape (n_clips,), or None
        Clips to train without.

    Returns
    -------
    ndarray, shape (n_clips, 11)
        Mean class probabilities of each song; NaN for the clips always trained on.
    """

    def fit_head(heard: Heard, number: int) -> Callable[[Heard], FloatArray]:
        head = train_head(clips, heard, seed=number, recipe=recipe)
        return lambda songs: song_means(predict(head, songs.embedding), songs.owner, len(clips))

    folds = fold_numbers(clips, seed)
    joint = np.full((len(clips), len(CLASSES)), np.nan, np.float32)
    left_out = np.array([clip.part in ("gtzan_valid", "slivers_valid") or not clip.allowed for clip in clips])
    usable = ~left_out if without is None else ~left_out & ~without
    for fold in range(FOLDS):
        judged = folds == fold
        trained = (fit or fit_head)(train.of(usable & ~judged), seed * 100 + fold)
        joint[judged] = trained(judge.of(judged))[judged]
    return joint


def cross_validate_broad(clips: Sequence[Clip], train: Heard, judge: Heard, *, seed: int) -> FloatArray:
    """Judge every clip by the vocabulary `broad`, in the same folds; shape (n_clips, n_trained), NaN as above."""
    folds = fold_numbers(clips, seed)
    held_out = np.array([clip.part in ("gtzan_valid", "slivers_valid") for clip in clips])
    means = np.full((len(clips), len(broad.TRAINED)), np.nan, np.float32)
    for fold in range(FOLDS):
        head = broad.train_broad(clips, train.of(~held_out & (folds != fold)), seed=seed * 100 + fold)
        judged = folds == fold
        means[judged] = song_means(broad.predict_broad(head, judge.embedding), judge.owner, len(clips))[judged]
    return means


def fold_numbers(clips: Sequence[Clip], seed: int) -> npt.NDArray[np.int64]:
    """Deal clips into folds, artist by artist, labels evenly; -1 for GTZAN's train list."""
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


def _strata(clips: Sequence[Clip]) -> list[str]:
    """Name each clip's label; labels too rare to be in every fold share one name."""
    names = ["+".join(sorted(clip.allowed)) for clip in clips]
    return [name if names.count(name) >= FOLDS else "rare" for name in names]


def song_means(values: FloatArray, owner: npt.NDArray[np.int64], n_clips: int) -> FloatArray:
    """Average segments into songs, shape (n_clips, n_columns)."""
    sums = np.zeros((n_clips, values.shape[1]))
    np.add.at(sums, owner, values)
    return np.asarray(sums / np.maximum(np.bincount(owner, minlength=n_clips), 1)[:, np.newaxis], np.float32)


def group_of(clip: Clip) -> str | None:
    """Return which of the six groups a single-genre AllMusic clip is of."""
    if clip.part != "allmusic" or not clip.single or not clip.answers:
        return None
    name = "pop/rock" if clip.answers == POP_ROCK else next(iter(clip.answers))
    return name if name in GROUPS else None


def group_decisions(joint: FloatArray) -> list[str]:
    """Name the group of each clip's best genre; pop, rock and metal are one."""
    names = ["pop/rock" if genre in POP_ROCK else genre for genre in GENRES]
    return [names[best] for best in np.argmax(joint[:, :-1], axis=1)]


def right(clips: Sequence[Clip], joint: FloatArray) -> npt.NDArray[np.bool_]:
    """Return for every clip whether its best genre of the ten is one of the answers; False where it has none."""
    best = np.argmax(joint[:, :-1], axis=1)
    return np.array([GENRES[index] in clip.answers for index, clip in zip(best, clips, strict=True)])


def figures(clips: Sequence[Clip], runs: Sequence[FloatArray]) -> dict[str, Figure]:
    """Compute the figures of the card, averaged over repeated cross-validations.

    Parameters
    ----------
    clips : sequence of Clip
    runs : sequence of ndarray, shape (n_clips, 11)
        Sharpened (`calibrate.sharpened`), so that the best genre is the one the program would name.

    Returns
    -------
    dict of str to dict
        `value`, `low`, `high` (95%, artists drawn with replacement) and `n` of each figure.
    """
    groups = np.array([group_of(clip) or "" for clip in clips])
    hits = np.mean([np.array(group_decisions(joint)) == groups for joint in runs], axis=0)
    found = {"micro": bootstrap(clips, groups != "", lambda chosen: float(hits[chosen].mean()))}

    def macro(chosen: npt.NDArray[np.int64]) -> float:
        parts = [hits[chosen[groups[chosen] == name]] for name in GROUPS]
        return float(np.mean([part.mean() for part in parts if len(part)]))

    found["macro"] = bootstrap(clips, groups != "", macro)
    for name in sorted(set(GROUPS) & set(groups)):
        found[name] = bootstrap(clips, groups == name, lambda chosen: float(hits[chosen].mean()))
    valid = np.array([clip.part == "gtzan_valid" for clip in clips])
    top = np.mean([right(clips, joint) for joint in runs], axis=0)
    found["gtzan_valid"] = bootstrap(clips, valid, lambda chosen: float(top[chosen].mean()))
    outside = np.array([clip.part == "allmusic" and OUTSIDE in clip.allowed for clip in clips])
    doubt = np.mean([joint[:, -1] for joint in runs], axis=0)
    found["auroc_outside"] = bootstrap(
        clips, (groups != "") | outside, lambda chosen: auroc(doubt[chosen], outside[chosen])
    )
    return found


def bootstrap(clips: Sequence[Clip], chosen: npt.NDArray[np.bool_], statistic: Statistic) -> Figure:
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
