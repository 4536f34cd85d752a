"""The classes that a network is trained to distinguish, and the classes that each clip's labels leave open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.datasets import Clip
from genrify_tagger.training.evaluation import answers_of
from genrify_tagger.training.genre_labels import GENRES

GTZAN, OWN = "gtzan", "own"
CHOICES = (GTZAN, OWN)


@dataclass(frozen=True)
class TargetClasses:
    """The classes of a network.

    Attributes
    ----------
    name : str
        Name of the vocabulary.
    labels : tuple of str
    outside : bool
        Whether there is one more class, the last, for "none of them".
    """

    name: str
    labels: tuple[str, ...]
    outside: bool

    @property
    def n_classes(self) -> int:
        """Number of classes, the one for "none of them" included."""
        return len(self.labels) + self.outside

    def written(self) -> dict[str, str]:
        """Return the written name of every label."""
        special = {"hiphop": "Hip-Hop", "rnb": "R&B", "pop/rock": "Pop Rock"}
        return {label: special.get(label, label.title().replace("/", " ")) for label in self.labels}

    def open_classes(self, clip: Clip) -> frozenset[str]:
        """Return the labels that a clip leaves open; none if it is outside of all labels.

        Of several labels only the first counts: with all of them open a network learns to hedge.
        """
        return answers_of(clip, self.labels) and answers_of(first_label(clip), self.labels)


def first_label(clip: Clip) -> Clip:
    """Return a clip with only the first of its labels."""
    return Clip(clip.path, clip.name, clip.labels[:1], clip.group)


def choose_classes(name: str, clips: Sequence[Clip]) -> TargetClasses:
    """Return the ten genres, or the labels of the clips.

    Raises
    ------
    ConfigError
        If there are fewer than two labels.
    """
    if name == GTZAN:
        outside = any(not answers_of(clip, GENRES) for clip in clips)
        return TargetClasses(GTZAN, GENRES, outside)
    labels = tuple(sorted({clip.labels[0] for clip in clips}))
    if len(labels) < 2:
        raise ConfigError("the datasets have only one label, and training needs two")
    return TargetClasses(OWN, labels, False)


def open_class_table(target: TargetClasses, clips: Sequence[Clip]) -> tuple[list[int], npt.NDArray[np.float32]]:
    """Return which clips can be trained on, and the classes that their labels leave open.

    A clip whose first label is outside of them and a later one inside is left out.

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
