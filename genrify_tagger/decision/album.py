"""Pool what is known of the songs of an album: the geometric mean of their probabilities, so that doubt cancels out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from genrify_tagger.decision.flat import Array

GENRE_TRUST: Final = 0.95  # probability that the genre in a song's file is right
_EPSILON = 1e-4


def with_genre(probabilities: Array, is_genre: npt.NDArray[np.bool_]) -> Array:
    """Return the probabilities of a song of which the file says that it is one of some classes, shape (n,)."""
    found = np.zeros(probabilities.shape)
    for chosen, share in ((is_genre, GENRE_TRUST), (~is_genre, 1 - GENRE_TRUST)):
        part = np.where(chosen, probabilities + _EPSILON, 0.0)
        found += share * part / max(float(part.sum()), _EPSILON)
    return found


def pooled_probabilities(songs: Sequence[Array]) -> Array:
    """Return the probabilities of an album, shape (n,), given those of its songs."""
    logs = np.log(np.stack(songs) + _EPSILON).mean(axis=0)
    powers = np.exp(logs - logs.max())
    return np.asarray(powers / powers.sum())
