"""Every clip the head of the genre tree is trained and evaluated on, its labels, and the folds that hold out sources.

Recordings of one source share bandwidth, codec, loudness, era and labelling habit, so a source is held out as a whole,
and artists that also occur elsewhere with it. Sources of few clips share a fold.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import synthetic_sounds
import synthetic_speech
from genrify_tagger.training.datasets import without_suffix
from genrify_tagger.training.genre_labels import GENRES

WORLD, OUTSIDE = "world", "outside"  # never named: they only take probability away
LABELS = (*GENRES, "electronic", "folk", "rnb", "latin", "newage", "punk")
LEAVES = (*LABELS, WORLD, OUTSIDE)
NAMES = {label: label.title() for label in LABELS} | {"hiphop": "Hip-Hop", "rnb": "R&B", "newage": "New Age"}

ALLMUSIC = {
    "Pop/Rock": {"pop", "rock", "metal", "punk"},
    "Rap": {"hiphop"},
    "R&B": {"rnb", "disco"},
    "New Age": {"newage"},
    "International": {WORLD},
    "Vocal": {"jazz", "pop"},
    **{name: {name.lower()} for name in ("Reggae", "Jazz", "Country", "Blues", "Classical", "Electronic", "Latin")},
    "Folk": {"folk"},
}
RELIABILITY = {"more": {"high": 1.0, "medium": 0.7, "low": 0.7}, "world": {"high": 1.0, "medium": 0.8, "low": 0.3}}
SLIVER_WEIGHT = 0.3
HALF = 0.5  # of clips with several genres, of music outside the tree, and of what is no music

OWN_FOLD = 14  # clips from which on a source has a fold of its own
SHARED_FOLDS = 6
NO_MUSIC_FOLDS = 3
SAME_SOURCE = {"homburg8k": "tyiannak/multimodalAnalysis"}  # distributed together

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TreeClip:
    """One labelled clip.

    Attributes
    ----------
    path : str
        Relative to the data folder; the name of a generated sound or passage.
    part : str
        "gtzan_train", "gtzan_valid", "slivers", "allmusic", "more", "world", "synthetic" or "speech".
    source : str
    artist : str
        Empty where it is unknown.
    allowed : frozenset of str
        Leaves that its label leaves open, for training; empty if it is not trained on.
    answers : frozenset of str
        Leaves that count as right.
    weight : float
        Weight in training.
    single : bool
        Whether its source gives it exactly one genre.
    group : str
        Kind of sound or voice, of what is no music.
    """

    path: str
    part: str
    source: str
    artist: str
    allowed: frozenset[str]
    answers: frozenset[str]
    weight: float
    single: bool = True
    group: str = ""

    @property
    def is_music(self) -> bool:
        """Whether it is no generated sound or speech."""
        return not self.group

    @property
    def is_judged(self) -> bool:
        """Whether figures count it: music that is long enough."""
        return self.is_music and self.part != "slivers"


def read_tree_clips(shared: Path) -> list[TreeClip]:
    """List every clip under the folder of shared data, in a fixed order."""
    data = shared / "data"
    return [*_gtzan(data), *_allmusic(data), *_more(data), *_world(data), *_generated()]


def trained_names(clips: Sequence[TreeClip]) -> frozenset[str]:
    """Return the names (`datasets.Clip.name`) of the recordings that the head is trained on."""
    recordings = (clip for clip in clips if clip.is_music and clip.allowed and clip.weight)
    return frozenset(without_suffix(clip.path.partition("/")[2]) for clip in recordings)


def leaf_table(sets: Sequence[frozenset[str]]) -> npt.NDArray[np.float32]:
    """Return one row a set of leaves, ones and zeros, shape (n, n_leaves)."""
    return np.array([[leaf in chosen for leaf in LEAVES] for chosen in sets], np.float32)


def source_folds(clips: Sequence[TreeClip]) -> tuple[Ints, list[str]]:
    """Return the number of each clip's fold, and the names of the folds."""
    sizes = Counter(clip.source for clip in clips if clip.is_music)
    large = [source for source, size in sizes.most_common() if size >= OWN_FOLD]
    small = sorted(source for source, size in sizes.items() if size < OWN_FOLD)
    names = [*large, *(f"small sources {number + 1}" for number in range(SHARED_FOLDS))]
    fold_of = {source: number for number, source in enumerate(large)}
    fold_of |= {source: len(large) + number % SHARED_FOLDS for number, source in enumerate(small)}
    groups = list(dict.fromkeys((clip.source, clip.group) for clip in clips if not clip.is_music))
    first = len(names)
    of_group = {group: first + number % NO_MUSIC_FOLDS for number, group in enumerate(groups)}
    names += [f"no music {number + 1}" for number in range(NO_MUSIC_FOLDS)]
    folds = [fold_of[clip.source] if clip.is_music else of_group[clip.source, clip.group] for clip in clips]
    return np.array(folds), names


def artist_folds(clips: Sequence[TreeClip], *, n_folds: int = 5, seed: int = 0) -> Ints:
    """Return the number of each clip's fold where artists are held out and sources are known."""
    rng = np.random.default_rng(seed)
    groups: dict[str, int] = {}
    for clip in clips:
        groups.setdefault(_artist_group(clip), int(rng.integers(n_folds)))
    return np.array([groups[_artist_group(clip)] for clip in clips])


def _artist_group(clip: TreeClip) -> str:
    if not clip.is_music:
        return f"{clip.part} {clip.group}"
    return clip.artist or (_recording(clip.path) if clip.source == "gtzan" else clip.path)


def _recording(path: str) -> str:
    """Return the GTZAN recording that a clip or sliver is from, such as "rock.00012"."""
    found = re.match(r"[a-z]+\.\d{5}", Path(path).name)
    return found[0] if found else path


def _gtzan(data: Path) -> Iterator[TreeClip]:
    lists = {name: set((data / f"splits/{name}_filtered.txt").read_text().split()) for name in ("train", "valid")}
    for folder in ("gtzan", "gtzan_slivers"):
        for path in sorted((data / folder).glob("*/*.opus")):
            member = f"{path.parent.name}/{_recording(path.name)}.wav"
            listed = next((name for name, members in lists.items() if member in members), None)
            if listed is None:
                continue  # repetitions and wrong labels
            part, weight = ("slivers", SLIVER_WEIGHT) if folder == "gtzan_slivers" else (f"gtzan_{listed}", 1.0)
            label = frozenset({path.parent.name})
            yield TreeClip(str(path.relative_to(data)), part, "gtzan", "", label, label, weight)


def _allmusic(data: Path) -> Iterator[TreeClip]:
    for row in _rows(data / "allmusic/labels.csv"):
        names = row["genres"].split(";")
        answers = frozenset[str]().union(*(ALLMUSIC.get(name, set()) for name in names))
        allowed, weight = frozenset(ALLMUSIC.get(names[0], set())), 1.0 if len(names) == 1 else HALF
        if not answers:
            answers = allowed = frozenset({OUTSIDE})
            weight = HALF
        yield TreeClip(
            f"allmusic/{row['file']}",
            "allmusic",
            "allmusic",
            _artist(row["artist"]),
            allowed,
            answers,
            weight,
            len(names) == 1,
        )


def _more(data: Path) -> Iterator[TreeClip]:
    for row in _rows(data / "more/labels.csv"):
        label = frozenset({row["genre"]})
        narrow = (
            row["source_sample_rate"] == "8000"
        )  # judged, but not trained on: its genre shows in the lack of treble
        source = SAME_SOURCE["homburg8k"] if narrow else row["source"]
        weight = 0.0 if narrow else RELIABILITY["more"][row["reliability"]]
        yield TreeClip(f"more/{row['file']}", "more", source, _artist(row["artist"]), label, label, weight)


def _world(data: Path) -> Iterator[TreeClip]:
    for row in _rows(data / "world/labels.csv"):
        answers = frozenset(row["genres"].split(";"))
        allowed = answers - {WORLD} or answers  # pop from Asia is pop
        weight = RELIABILITY["world"][row["reliability"]]
        path, artist = f"world/{row['file']}", _artist(row["artist"])
        yield TreeClip(path, "world", row["source"], artist, allowed, answers, weight, len(answers) == 1)


def _generated() -> Iterator[TreeClip]:
    label = frozenset({OUTSIDE})
    for name in synthetic_sounds.sound_names():
        kind = synthetic_sounds.kind_of(name)
        yield TreeClip(name, "synthetic", "synthetic", "", label, label, HALF, group=kind)
    for name in synthetic_speech.passage_names():
        voice = synthetic_speech.voice_of(name)
        yield TreeClip(name, "speech", "speech", "", label, label, HALF, group=voice)


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _artist(name: str) -> str:
    return "".join(letter for letter in name.casefold() if letter.isalnum())
