"""What decisions of the genre tree are fitted to and judged by: each clip's best genre, and whether that is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision import node_scores
from tree_clips import LABELS, LEAVES, OUTSIDE, WORLD, Ints, TreeClip, leaf_table
from tree_features import Array

PARENTS = {"metal": "rock", "punk": "rock", "disco": "rnb", "newage": "electronic"}  # as in genres-tree.yaml
TOPS = tuple(label for label in LABELS if label not in PARENTS)
COUNTED_FULLY = 60  # clips of a fold; source-weighted figures give larger ones the weight of so many

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Songs:
    """Clips in the folds that hold out sources.

    Attributes
    ----------
    clips : sequence of TreeClip
    folds : ndarray of int, shape (n_clips,)
    """

    clips: Sequence[TreeClip]
    folds: Ints

    @cached_property
    def right(self) -> Mask:
        """Whether each label is right for each clip, shape (n_clips, n_labels); a parent of a right label is right."""
        answers = leaf_table([clip.answers if clip.is_judged else frozenset() for clip in self.clips])
        return np.asarray(node_scores(answers.astype(np.float64), LEAVES, LABELS, PARENTS) > 0)

    @cached_property
    def inside(self) -> Mask:
        """Which clips count in the figures: with a genre of the tree."""
        return np.asarray(self.right.any(axis=1))

    @cached_property
    def world_only(self) -> Mask:
        """Which clips are known to be world music and nothing else."""
        return self._judged_as(WORLD)

    @cached_property
    def outside(self) -> Mask:
        """Which clips are music of no genre of the tree."""
        return self._judged_as(OUTSIDE)

    @cached_property
    def no_music(self) -> Mask:
        """Which clips are generated sounds and speech."""
        return np.array([not clip.is_music for clip in self.clips])

    @cached_property
    def determinate(self) -> Mask:
        """Which clips' labels do not leave open both a child and a top genre."""
        children = {"rock", "rnb", "electronic", "pop"}, set(PARENTS)
        return np.array([not all(clip.answers & one for one in children) for clip in self.clips])

    @cached_property
    def fold_weights(self) -> Array:
        """Weights by which every fold counts as at most `COUNTED_FULLY` clips of the tree."""
        sizes = np.bincount(self.folds[self.inside], minlength=int(self.folds.max()) + 1)
        return np.where(self.inside, np.minimum(1, COUNTED_FULLY / np.maximum(sizes[self.folds], 1)), 0.0)

    def of_part(self, *parts: str) -> Mask:
        """Return which clips of the tree are of these parts of the data."""
        return np.asarray(self.inside & [clip.part in parts for clip in self.clips])

    def sources(self, chosen: Mask) -> set[str]:
        """Return the sources of clips."""
        return {clip.source for clip, is_chosen in zip(self.clips, chosen, strict=True) if is_chosen}

    def _judged_as(self, leaf: str) -> Mask:
        return np.asarray(~self.inside & [clip.is_judged and leaf in clip.answers for clip in self.clips])


def scores_of(predictions: npt.NDArray[np.float32]) -> Array:
    """Return the score of every label, shape (n_clips, n_labels), of the leaves' probabilities."""
    return node_scores(predictions.astype(np.float64), LEAVES, LABELS, PARENTS)


def best_of(scores: Array, labels: Sequence[str]) -> Ints:
    """Return the column of the best of some labels for each clip."""
    columns = np.array([LABELS.index(label) for label in labels])
    return np.asarray(columns[scores[:, columns].argmax(axis=1)])
