"""What a network is to tell apart, and what each clip's labels leave open of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.datasets import Clip
from genrify_tagger.training.evaluation import answers_of
from genrify_tagger.training.labels import GENRES

GTZAN, OWN = "gtzan", "own"
CHOICES = (GTZAN, OWN)


@dataclass(frozen=True)
class Target:
    """The classes of a network.

    Attributes
    ----------
    name : str
        Of the vocabulary.
    labels : tuple of str
    outside : bool
        Whether one more class, the last, stands for "none of them".
    """

    name: str
    labels: tuple[str, ...]
    outside: bool

    @property
    def n_classes(self) -> int:
        """How many probabilities the network gives."""
        return len(self.labels) + self.outside

    def written(self) -> dict[str, str]:
        """Return the written name of every label."""
        special = {"hiphop": "Hip-Hop", "rnb": "R&B", "pop/rock": "Pop Rock"}
        return {label: special.get(label, label.title().replace("/", " ")) for label in self.labels}

    def open_classes(self, clip: Clip) -> frozenset[str]:
        """Return which labels a clip leaves open; none if it lies outside.

        Of several labels the first tells: with all of them open a network learns to hedge.
        """
        return answers_of(clip, self.labels) and answers_of(first_label(clip), self.labels)


def first_label(clip: Clip) -> Clip:
    """Return a clip with only the first of its labels."""
    return Clip(clip.path, clip.name, clip.labels[:1], clip.group)


def choose(name: str, clips: Sequence[Clip]) -> Target:
    """Return the ten genres, or whatever labels the clips have.

    Raises
    ------
    ConfigError
        If fewer than two labels would be left.
    """
    if name == GTZAN:
        outside = any(not answers_of(clip, GENRES) for clip in clips)
        return Target(GTZAN, GENRES, outside)
    labels = tuple(sorted({clip.labels[0] for clip in clips}))
    if len(labels) < 2:
        raise ConfigError("there is only one label in this music, nothing to tell apart")
    return Target(OWN, labels, False)


def open_table(target: Target, clips: Sequence[Clip]) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Return which clips can be trained on, and what their labels leave open.

    A clip whose first label lies outside but a further one does not teaches neither and is left out.

    Returns
    -------
    chosen : list of int
    table : ndarray, shape (n_chosen, n_classes)
        Ones and zeros.
    """
    chosen, rows = [], []
    for number, clip in enumerate(clips):
        found = target.open_classes(clip)
        is_outside = not answers_of(clip, target.labels)
        if found or (is_outside and target.outside):
            chosen.append(number)
            rows.append([label in found for label in target.labels] + [is_outside] * target.outside)
    return chosen, np.array(rows, np.float32).reshape(-1, target.n_classes)
