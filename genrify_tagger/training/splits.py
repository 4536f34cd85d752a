"""Splits into training and test data: by segment, by track, by artist, by lists.

Segments of music can be split in ways whose accuracies differ by forty points. A split *by segment* puts segments
of one recording on both sides. It measures how well a recording is recognised, not its genre; wherever its figures are
printed they are called leaky. A split by track keeps recordings together, a split by group keeps artists together, and
given lists can do more (GTZAN's fault-filtered lists leave out repetitions and wrong labels).

References
----------
B. L. Sturm, "The GTZAN dataset: its contents, its faults, their effects on evaluation, and its future use", 2013.
A. Flexer, "A closer look on artist filters for musical genre classification", ISMIR 2007.
"""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError

Indices = npt.NDArray[np.int64]

LEAKY = "leaky"


@dataclass(frozen=True)
class Protocol:
    """A way to split.

    Attributes
    ----------
    name : str
        As in tables: "segment (leaky)", "track", "artist", "lists".
    folds : tuple of (train, test)
        Row numbers; every row is in at most one test set.
    """

    name: str
    folds: tuple[tuple[Indices, Indices], ...]

    @property
    def leaky(self) -> bool:
        """Whether pieces of one recording are on both sides."""
        return LEAKY in self.name


def by_segment(labels: Sequence[str], *, folds: int = 5, seed: int = 0) -> Protocol:
    """Split single rows, as the reference study did: leaky.

    Raises
    ------
    ConfigError
        If every label has fewer rows than there are folds.
    """
    from sklearn.model_selection import StratifiedKFold

    _need_rows(labels, folds)
    rows = np.arange(len(labels))
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with _rare_labels():
        return Protocol(f"segment ({LEAKY})", tuple(splitter.split(rows, list(labels))))


def by_track(labels: Sequence[str], tracks: Sequence[str], *, folds: int = 5, seed: int = 0) -> Protocol:
    """Split so that all rows of a recording are on one side."""
    return Protocol("track", _grouped(labels, tracks, folds, seed))


def by_group(labels: Sequence[str], groups: Sequence[str], *, folds: int = 5, seed: int = 0) -> Protocol:
    """Split so that all rows of an artist are on one side."""
    return Protocol("artist", _grouped(labels, groups, folds, seed))


def by_lists(tracks: Sequence[str], train: Sequence[str], test: Sequence[str]) -> Protocol:
    """Split by given lists; rows of tracks on neither list are left out.

    Raises
    ------
    ConfigError
        If a track is on both lists, or either list names none of the tracks.
    """
    both = sorted(set(train) & set(test))
    if both:
        raise ConfigError(f"{both[0]} is on both lists")
    names = np.array(tracks)
    parts = [np.flatnonzero(np.isin(names, list(part))) for part in (train, test)]
    if not all(len(part) for part in parts):
        raise ConfigError("one of the lists names no clip of the dataset", hint="names are paths within the dataset")
    return Protocol("lists", ((parts[0], parts[1]),))


def _grouped(
    labels: Sequence[str], groups: Sequence[str], folds: int, seed: int
) -> tuple[tuple[Indices, Indices], ...]:
    from sklearn.model_selection import StratifiedGroupKFold

    if len(set(groups)) < folds:
        raise ConfigError(f"{len(set(groups))} recordings or artists are too few for {folds} folds")
    _need_rows(labels, folds)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with _rare_labels():
        return tuple(splitter.split(np.arange(len(labels)), list(labels), list(groups)))


def _need_rows(labels: Sequence[str], folds: int) -> None:
    if max(Counter(labels).values()) < folds:
        raise ConfigError(f"too little music: no label has the {folds} clips or segments that {folds} parts need")


@contextlib.contextmanager
def _rare_labels() -> Iterator[None]:
    """Allow labels that are in some folds only, as in small datasets; the figures state the number of tracks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        yield
