"""What was learned from a library: its genres, heads that score them, and how evidence is joined; as bytes and back.

It holds no path, title or artist, so that it can be given away.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ModelError

Array = npt.NDArray[np.float64]

SCHEMA: Final = 1
SOUND_KINDS: Final = ("shipped", "coarse", "fine")
#: Kinds of evidence: what each head says of the song, of its artist's songs, of its album's; genres of other songs of
#: the artist and of the album; how frequent a genre is in the library.
KINDS: Final = (
    *SOUND_KINDS,
    *(f"artist_{kind}" for kind in SOUND_KINDS),
    *(f"album_{kind}" for kind in SOUND_KINDS),
    "artist",
    "album",
    "frequency",
)
_ARRAYS: Final = (
    "leaf_genres",
    "coarse_weights",
    "coarse_bias",
    "fine_weights",
    "fine_bias",
    "frequencies",
    "evidence_weights",
    "slopes",
    "biases",
    "thresholds",
)


_WIDER_ARRAYS: Final = ("wider_slopes", "wider_biases", "wider_thresholds")  # earlier versions lack them


def _never() -> Array:
    return np.full(2, 2.0)


@dataclass(frozen=True, eq=False)
class LearnedVocabulary:
    """Genres of a library and how they are told.

    Attributes
    ----------
    genres : tuple of str
        Names as they are written.
    model, front_end : str
        Of the analyses that it learned from (see `ModelTree.id`); it fits no others.
    leaf_genres : ndarray, shape (n_leaves, n_genres)
        How often songs like a leaf of the shipped tree have each genre; rows sum to 1.
    coarse_weights, coarse_bias, fine_weights, fine_bias : ndarray
        Two linear heads; see `decision.evidence`.
    frequencies : ndarray, shape (n_genres,)
        Share of each genre in the library.
    evidence_weights : ndarray, shape (2, n_kinds)
        How much each of `KINDS` counts where no other song of artist and album has a genre, and where one has.
    slopes, biases, thresholds : ndarray, shape (2,)
        From the log odds of the best genre to the confidence in it, and from which confidence on it is written.
    folded : mapping of str to str
        Wider genre by rare genre that counts as it.
    wider : mapping of str to str
        The widest genre of each one in the tree, itself if there is none.
    wider_slopes, wider_biases, wider_thresholds : ndarray, shape (2,)
        The same for the widest genres, where the genre itself is not sure enough.
    report : mapping
        What `genrify-tag learn --format json` prints, and "songs_with_genre" and "whole_library": how many songs had a
        genre, learned or not, and whether those of some folders only were looked at.
    """

    genres: tuple[str, ...]
    model: str
    front_end: str
    leaf_genres: Array
    coarse_weights: Array
    coarse_bias: Array
    fine_weights: Array
    fine_bias: Array
    frequencies: Array
    evidence_weights: Array
    slopes: Array
    biases: Array
    thresholds: Array
    folded: Mapping[str, str] = field(default_factory=dict)
    wider: Mapping[str, str] = field(default_factory=dict)
    wider_slopes: Array = field(default_factory=_never)
    wider_biases: Array = field(default_factory=_never)
    wider_thresholds: Array = field(default_factory=_never)
    report: Mapping[str, Any] = field(default_factory=dict)

    def words(self) -> dict[str, str]:
        """Return the genre that each name of a genre stands for, also the names of rare ones folded into it."""
        rare = {word: genre for word, genre in self.folded.items() if genre in self.genres}
        return rare | {genre: genre for genre in self.genres}

    def as_bytes(self) -> bytes:
        """Return it as an .npz file; the same for the same content."""
        header = {"schema": SCHEMA, "kinds": KINDS, "genres": self.genres, "model": self.model}
        header |= {"front_end": self.front_end, "folded": dict(self.folded), "report": dict(self.report)}
        header |= {"wider": dict(self.wider)}
        text = np.frombuffer(json.dumps(header, sort_keys=True).encode(), np.uint8)
        names = (*_ARRAYS, *_WIDER_ARRAYS)
        arrays: dict[str, Any] = {name: getattr(self, name).astype(np.float32) for name in names}
        file = io.BytesIO()
        np.savez(file, header=text, **arrays)
        return file.getvalue()

    @cached_property
    def id(self) -> str:
        """A hash of what decides, which tells two of them apart."""
        head = [self.genres, self.model, self.front_end, sorted(self.folded.items())]
        digest = hashlib.sha256(json.dumps([*head, sorted(self.wider.items())] if self.wider else head).encode())
        for name in (*_ARRAYS, *(_WIDER_ARRAYS if self.wider else ())):
            digest.update(getattr(self, name).astype(np.float32).tobytes())
        return digest.hexdigest()[:12]


def learned_vocabulary(content: bytes, path: str | None = None) -> LearnedVocabulary:
    """Return the vocabulary that `LearnedVocabulary.as_bytes` made `content` of.

    Raises
    ------
    ModelError
        If it is none, damaged, or of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            names = [*_ARRAYS, *(name for name in _WIDER_ARRAYS if name in file)]
            arrays = {name: np.asarray(file[name], np.float64) for name in names}
        if header["schema"] != SCHEMA or tuple(header["kinds"]) != KINDS:
            raise ModelError("is a learned vocabulary of another version", path=path, hint="learn it anew")
        found = LearnedVocabulary(
            genres=tuple(header["genres"]),
            model=header["model"],
            front_end=header["front_end"],
            folded=header["folded"],
            wider=header.get("wider", {}),
            report=header["report"],
            **arrays,
        )
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ModelError("is no learned vocabulary, or is damaged", path=path) from error
    if not _fits(found):
        raise ModelError("the arrays of the learned vocabulary do not fit together", path=path)
    return found


def _fits(found: LearnedVocabulary) -> bool:
    n = len(found.genres)
    last = (found.leaf_genres, found.coarse_weights, found.coarse_bias, found.fine_weights, found.fine_bias)
    names = ("slopes", "biases", "thresholds", *_WIDER_ARRAYS)
    shapes = [getattr(found, name).shape for name in names]
    return (
        n > 0
        and all(array.shape[-1] == n for array in (*last, found.frequencies))
        and found.evidence_weights.shape == (2, len(KINDS))
        and shapes == [(2,)] * len(names)
        and set(found.wider) in (set(), set(found.genres))
        and all(np.isfinite(getattr(found, name)).all() for name in (*_ARRAYS, *_WIDER_ARRAYS))
    )
