"""The clips a model is trained and judged on, with what their labels are worth.

A clip's label may leave several of the ten genres open ("Pop/Rock" is pop, rock or metal), and may say that none of
them fits. GTZAN clips on neither of the fault-filtered lists (repetitions, mislabelled ones) are left out, as are
clips sampled at 8 kHz: their genre could be told from the missing treble.

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

from genrify_tagger.training import speech, synthetic

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
OUTSIDE = "outside"
CLASSES = (*GENRES, OUTSIDE)
POP_ROCK = frozenset({"metal", "pop", "rock"})
NO_MUSIC = ("synthetic", "speech")  # parts made here

ALLMUSIC = {
    "Pop/Rock": POP_ROCK,
    "Rap": frozenset({"hiphop"}),
    "Reggae": frozenset({"reggae"}),
    "Jazz": frozenset({"jazz"}),
    "Country": frozenset({"country"}),
    "Blues": frozenset({"blues"}),
    "Classical": frozenset({"classical"}),
}
SLIVER_WEIGHT = 0.1
MULTI_GENRE_WEIGHT = 0.5
SYNTHETIC_WEIGHT = 0.5
NOISE_WEIGHT = 1.0  # at half of it, faint brown noise is too near to being taken for classical music
LOWEST_SAMPLE_RATE = 16000

Part = Literal[
    "gtzan_train", "gtzan_valid", "slivers_train", "slivers_valid", "allmusic", "more", "synthetic", "speech"
]


@dataclass(frozen=True)
class Clip:
    """One labelled clip.

    Attributes
    ----------
    path : str
        Relative to the data folder.
    part : str
        Where it is from, and on which of GTZAN's lists it stands.
    artist : str
        Clips of one artist are never on both sides of a split; the clip itself where the artist is unknown.
    allowed : frozenset of str
        Which of `CLASSES` its label leaves open, for training; empty if it is not trained on.
    answers : frozenset of str
        Which genres count as right when it is judged; empty if none of the ten is.
    weight : float
        What the label is worth in training.
    single : bool
        Whether its source gives it one genre only.
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


def read_clips(shared: Path) -> list[Clip]:
    """List every clip under the folder of shared data, in a fixed order."""
    data = shared / "data"
    slivers = _gtzan(data, "gtzan_slivers", SLIVER_WEIGHT)
    return [*_gtzan(data, "gtzan", 1.0), *slivers, *_allmusic(data), *_more(data), *_made()]


def targets(clips: Sequence[Clip]) -> npt.NDArray[np.float32]:
    """Return which classes each clip's label leaves open, shape (n_clips, 11), ones and zeros."""
    return np.array([[name in clip.allowed for name in CLASSES] for clip in clips], np.float32)


def _gtzan(data: Path, folder: str, weight: float) -> Iterator[Clip]:
    lists = {name: set((data / f"splits/{name}_filtered.txt").read_text().split()) for name in ("train", "valid")}
    kind = "slivers" if folder == "gtzan_slivers" else "gtzan"
    for path in sorted((data / folder).glob("*/*.opus")):
        genre = path.parent.name
        for name, members in lists.items():
            if f"{genre}/{path.stem}.wav" in members:
                label = frozenset({genre})
                part: Part = f"{kind}_{name}"  # type: ignore[assignment]  # one of four known values
                yield Clip(str(path.relative_to(data)), part, f"gtzan {name}", label, label, weight, True, (genre,))


def _allmusic(data: Path) -> Iterator[Clip]:
    for row in _rows(data / "allmusic/labels.csv"):
        names = row["genres"].split(";")
        answers = frozenset[str]().union(*(ALLMUSIC.get(name, frozenset()) for name in names))
        # The first genre is the one that tells; with the whole set the network learns to hedge. A clip whose first
        # genre is none of the ten, but a further one is, teaches neither.
        allowed = ALLMUSIC.get(names[0], frozenset()) if answers else frozenset({OUTSIDE})
        single = len(names) == 1
        weight = 1.0 if single or not answers else MULTI_GENRE_WEIGHT
        path = f"allmusic/{row['file']}"
        yield Clip(path, "allmusic", _artist(row["artist"]) or path, allowed, answers, weight, single, tuple(names))


def _more(data: Path) -> Iterator[Clip]:
    for row in _rows(data / "more/labels.csv"):
        if int(row["source_sample_rate"]) < LOWEST_SAMPLE_RATE:
            continue
        answers = frozenset({row["genre"]} & set(GENRES))
        weight = 1.0 if row["reliability"] == "high" else MULTI_GENRE_WEIGHT
        path = f"more/{row['file']}"
        artist = _artist(row["artist"]) or path
        yield Clip(path, "more", artist, answers or frozenset({OUTSIDE}), answers, weight, True, (row["genre"],))


def _made() -> Iterator[Clip]:
    """Sounds that are no music, and speech; a kind or a voice is held out as a whole, as an artist is."""
    sounds = [(name, "synthetic", synthetic.kind_of(name)) for name in synthetic.names()]
    passages = [(name, "speech", speech.voice_of(name)) for name in speech.names()]
    for name, made, kind in sounds + passages:
        part: Part = made  # type: ignore[assignment]  # one of two known values
        weight = NOISE_WEIGHT if kind == "noise" else SYNTHETIC_WEIGHT
        yield Clip(name, part, f"{made} {kind}", frozenset({OUTSIDE}), frozenset(), weight, True)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _artist(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
