"""Every clip the shipped model is trained and evaluated on, with its labels.

A clip's label may leave several of the ten genres open ("Pop/Rock" is pop, rock or metal), or may say that none of them
fits. GTZAN clips on neither of the fault-filtered lists (repetitions, wrong labels) are left out, as are clips sampled
at 8 kHz, whose genre could be told from the missing treble.

References
----------
C. Kereliuk, B. Sturm and J. Larsen, "Deep learning and music adversaries", IEEE Trans. Multimedia 2015 (the lists).
R. Panda, R. Malheiro and R. P. Paiva, "Novel audio features for music emotion recognition", IEEE TAFFC 2018 (AllMusic).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

import synthetic_sounds
import synthetic_speech
from genrify_tagger.analysis import FloatArray
from genrify_tagger.audio import load_segments
from genrify_tagger.training.genre_labels import ALLMUSIC, GENRES

OUTSIDE = "outside"
CLASSES = (*GENRES, OUTSIDE)
NO_MUSIC = ("synthetic", "speech")  # parts that are generated

SLIVER_WEIGHT = 0.1
MULTI_GENRE_WEIGHT = 0.5
SYNTHETIC_WEIGHT = 0.5
NOISE_WEIGHT = 1.0  # at half of it, faint brown noise nearly passes as classical music
LOWEST_SAMPLE_RATE = 16000

Part = Literal[
    "gtzan_train", "gtzan_valid", "slivers_train", "slivers_valid", "allmusic", "more", "synthetic", "speech"
]


@dataclass(frozen=True)
class SourceClip:
    """One labelled clip.

    Attributes
    ----------
    path : str
        Relative to the data folder.
    part : str
        Its source, and for GTZAN the list it is on.
    artist : str
        Clips of one artist are never on both sides of a split; the clip itself where the artist is unknown.
    allowed : frozenset of str
        Which of `CLASSES` its label leaves open, for training; empty if it is not trained on.
    answers : frozenset of str
        Which genres count as right in evaluation; empty if none of the ten does.
    weight : float
        Weight in training.
    single : bool
        Whether its source gives it exactly one genre.
    names : tuple of str
        Genres as its source names them.
    """

    path: str
    part: Part
    artist: str
    allowed: frozenset[str]
    answers: frozenset[str]
    weight: float
    single: bool
    names: tuple[str, ...] = ()


def read_clips(shared: Path) -> list[SourceClip]:
    """List every clip under the folder of shared data, in a fixed order."""
    data = shared / "data"
    slivers = _gtzan(data, "gtzan_slivers", SLIVER_WEIGHT)
    return [*_gtzan(data, "gtzan", 1.0), *slivers, *_allmusic(data), *_more(data), *_generated()]


def class_table(clips: Sequence[SourceClip]) -> npt.NDArray[np.float32]:
    """Return the classes that each clip's label leaves open, shape (n_clips, 11), ones and zeros."""
    return np.array([[name in clip.allowed for name in CLASSES] for clip in clips], np.float32)


def _gtzan(data: Path, folder: str, weight: float) -> Iterator[SourceClip]:
    lists = {name: set((data / f"splits/{name}_filtered.txt").read_text().split()) for name in ("train", "valid")}
    kind = "slivers" if folder == "gtzan_slivers" else "gtzan"
    for path in sorted((data / folder).glob("*/*.opus")):
        genre = path.parent.name
        for name, members in lists.items():
            if f"{genre}/{path.stem}.wav" in members:
                label = frozenset({genre})
                part: Part = f"{kind}_{name}"  # type: ignore[assignment]  # one of four known values
                yield SourceClip(
                    str(path.relative_to(data)), part, f"gtzan {name}", label, label, weight, True, (genre,)
                )


def _allmusic(data: Path) -> Iterator[SourceClip]:
    for row in _rows(data / "allmusic/labels.csv"):
        names = row["genres"].split(";")
        answers = frozenset[str]().union(*(ALLMUSIC.get(name, frozenset()) for name in names))
        # Only the first genre is trained on; with the whole set open the network learns to hedge. A clip whose first
        # genre is outside the ten and a later one inside is not trained on.
        allowed = ALLMUSIC.get(names[0], frozenset()) if answers else frozenset({OUTSIDE})
        single = len(names) == 1
        weight = 1.0 if single or not answers else MULTI_GENRE_WEIGHT
        path = f"allmusic/{row['file']}"
        yield SourceClip(
            path, "allmusic", _artist(row["artist"]) or path, allowed, answers, weight, single, tuple(names)
        )


def _more(data: Path) -> Iterator[SourceClip]:
    for row in _rows(data / "more/labels.csv"):
        if int(row["source_sample_rate"]) < LOWEST_SAMPLE_RATE:
            continue
        answers = frozenset({row["genre"]} & set(GENRES))
        weight = 1.0 if row["reliability"] == "high" else MULTI_GENRE_WEIGHT
        path = f"more/{row['file']}"
        artist = _artist(row["artist"]) or path
        yield SourceClip(path, "more", artist, answers or frozenset({OUTSIDE}), answers, weight, True, (row["genre"],))


def _generated() -> Iterator[SourceClip]:
    """List non-musical sounds and speech; a kind or a voice is held out as a whole, like an artist."""
    sounds = [(name, "synthetic", synthetic_sounds.kind_of(name)) for name in synthetic_sounds.sound_names()]
    passages = [(name, "speech", synthetic_speech.voice_of(name)) for name in synthetic_speech.passage_names()]
    for name, source, kind in sounds + passages:
        part: Part = source  # type: ignore[assignment]  # one of two known values
        weight = NOISE_WEIGHT if kind == "noise" else SYNTHETIC_WEIGHT
        yield SourceClip(name, part, f"{source} {kind}", frozenset({OUTSIDE}), frozenset(), weight, True)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _artist(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def analysed_segments(part: str, path: str, shared: Path) -> FloatArray:
    """Return the segments of a clip that the tagger would analyse, shape (n_segments, n_samples).

    Parameters
    ----------
    part, path : str
        Of a `SourceClip` or `TreeClip`; those of `NO_MUSIC` are generated.
    shared : Path
        Folder of the training data.
    """
    if part == "synthetic":
        return synthetic_sounds.make_sound(path)
    if part == "speech":
        return synthetic_speech.make_passage(path)
    return load_segments(str(shared / "data" / path)).y
