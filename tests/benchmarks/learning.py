"""Precision and coverage of what is learned from a library, by songs a genre and with a third of the genres removed.

    python -m tests.benchmarks.learning --shared ../shared --work build/recipe

Reads what steps 6 and 7 of `models/recipe` left in the work folder: features of the shared clips, and what trees of the
shipped kind predict, trained without any recording of a clip's source. Libraries are clips with artists, whose genres
two sources give. Thresholds are those that learning chooses by itself, without the songs that are judged; the
method itself was chosen by such figures, so they are too good.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.decision.evidence import (
    KNOWN,
    STRANGER,
    coarse_columns,
    confidence_of,
    evidence_features,
    group_sums,
    join_evidence,
)
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.learn.held_out import Songs, has_tagged_company, sound_evidence, tag_evidence, train_heads
from genrify_tagger.learn.learning import Regime, fit_regime
from genrify_tagger.learn.library import MIN_ARTISTS, MIN_SONGS
from genrify_tagger.learn.wider import find_wider, fit_wider

PRECISIONS = (0.95, 0.9)
SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = 4
LIBRARIES = {"AllMusic previews": "allmusic", "clips of some sixty sources": "world"}


@dataclass(frozen=True)
class Clip:
    """A clip's row in the arrays, its genres as its source words them, and its artist ("" if unknown)."""

    row: int
    genres: tuple[str, ...]
    artist: str


class Measured:
    """Features and predictions of all clips, and the clips of each library."""

    def __init__(self, shared: Path, work: Path) -> None:
        with np.load(work / "tree_features.npz") as stored:
            features, paths = stored["original"].astype(np.float64), [str(path) for path in stored["paths"]]
        with np.load(work / "tree_by_source.npz") as stored:
            self.leaves = stored["original"].astype(np.float64)
        self.features = evidence_features(features, self.leaves).astype(np.float32)
        self.rows = {path: row for row, path in enumerate(paths)}
        self.shared = shared
        sidecar = load_sidecar()
        self.columns = coarse_columns(sidecar.embedding_size, len(sidecar.tags), self.leaves.shape[1])

    def library(self, name: str) -> list[Clip]:
        """Return the clips of a library."""
        with (self.shared / "data" / name / "labels.csv").open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if f"{name}/{row['file']}" in self.rows]
        return [
            Clip(
                self.rows[f"{name}/{row['file']}"],
                tuple(row["genres"].split(";")),
                "".join(filter(str.isalnum, row["artist"].casefold())),
            )
            for row in rows
        ]

    def genres(self, clips: list[Clip], tagged: np.ndarray) -> list[str]:
        """Return the genres with enough songs and artists to be learned."""
        counts: Counter[str] = Counter()
        artists: defaultdict[str, set[str]] = defaultdict(set)
        for number, (clip, has_genre) in enumerate(zip(clips, tagged, strict=True)):
            if has_genre:
                counts[clip.genres[0]] += 1
                artists[clip.genres[0]].add(clip.artist or str(number))
        return sorted(g for g in counts if counts[g] >= MIN_SONGS and len(artists[g]) >= MIN_ARTISTS)

    def songs(self, clips: list[Clip], tagged: np.ndarray) -> Songs:
        """Return clips as songs of which some have a genre."""
        genres = self.genres(clips, tagged)
        names = {name: number for number, name in enumerate(sorted({clip.artist for clip in clips} - {""}))}
        column = {genre: number for number, genre in enumerate(genres)}
        rows = [clip.row for clip in clips]
        return Songs(
            features=self.features[rows],
            coarse_columns=self.columns,
            leaf_probabilities=self.leaves[rows],
            genres=np.where(tagged, [column.get(clip.genres[0], -1) for clip in clips], -1),
            allowed=np.array([[genre in clip.genres for genre in genres] for clip in clips], bool),
            judged=tagged,
            artists=np.array([names.get(clip.artist, -1) for clip in clips]),
            albums=np.full(len(clips), -1),
            weights=np.ones(len(clips)),
        )


def removed(clips: list[Clip], share: float, rng: np.random.Generator, *, by_artist: bool) -> np.ndarray:
    """Return which clips lose their genre: a share of the songs, or all songs of a share of the artists."""
    if not by_artist:
        return rng.random(len(clips)) < share
    groups = [clip.artist or f"?{number}" for number, clip in enumerate(clips)]
    lost = {group: rng.random() < share for group in sorted(set(groups))}
    return np.array([lost[group] for group in groups])


def judge(songs: Songs, regimes: tuple[Regime, Regime], rows: np.ndarray) -> np.ndarray:
    """Return, for some songs, (has company, is written, is right, confidence) in columns."""
    evidence = [*sound_evidence(songs, train_heads(songs), rows), *(kind[rows] for kind in tag_evidence(songs))]
    known = has_tagged_company(songs)[rows]
    found = np.zeros((len(known), 4))
    for number, regime in enumerate(regimes):
        chosen = known == (number == KNOWN)
        joined = join_evidence([kind[chosen] for kind in evidence], regime.weights)
        confidence = confidence_of(joined, regime.slope, regime.bias)
        right = songs.allowed[rows][chosen][np.arange(len(joined)), joined.argmax(axis=1)]
        found[chosen] = np.column_stack([known[chosen], confidence >= regime.threshold, right, confidence])
    return found


def fitted(songs: Songs, precision: float) -> tuple[Regime, Regime]:
    """Return how evidence is joined, learned on the songs with a genre."""
    strangers = fit_regime(songs, STRANGER, precision)
    return strangers, fit_regime(songs, KNOWN, precision, otherwise=strangers)


def line(found: np.ndarray) -> str:
    """Return songs, share written, share right of these, and mean confidence of these, as cells."""
    written = found[found[:, 1] > 0]
    if not len(written):
        return f"{len(found):,} | 0% | - | -"
    share, right, promised = len(written) / len(found), written[:, 2].mean(), written[:, 3].mean()
    return f"{len(found):,} | {share:.0%} | {right:.0%} | {promised:.0%}"


def print_removed(measured: Measured) -> None:
    """Print what becomes of songs whose genre was removed."""
    print("| Library | Wanted | Songs that lost their genre | Songs | Written | Right | Promised |")
    print("|---|---|---|---|---|---|---|")
    for title, name in LIBRARIES.items():
        clips = measured.library(name)
        for precision in PRECISIONS:
            parts: defaultdict[str, list[np.ndarray]] = defaultdict(list)
            for by_artist in (False, True):
                for draw in range(DRAWS):
                    lost = removed(clips, 1 / 3, np.random.default_rng(draw), by_artist=by_artist)
                    songs = measured.songs(clips, ~lost)
                    found = judge(songs, fitted(songs, precision), lost)
                    if by_artist:
                        parts["all songs of a third of the artists"].append(found)
                    else:
                        parts["a third of the songs"].append(found)
                        parts["of these, artist has others"].append(found[found[:, 0] > 0])
            for what, results in parts.items():
                print(f"| {title} | {precision:.0%} | {what} | {line(np.concatenate(results))} |")


def print_curve(measured: Measured) -> None:
    """Print what becomes of a third of the songs, by how many songs of each genre there are to learn from."""
    print("| Library | Songs a genre | Genres | Songs | Written | Right | Promised |\n|---|---|---|---|---|---|---|")
    for title, name in LIBRARIES.items():
        clips = measured.library(name)
        for share in SHARES:
            results, sizes, genres = [], [], []
            for draw in range(DRAWS):
                lost = removed(clips, 1 / 3, np.random.default_rng(draw), by_artist=False)
                tagged = ~lost & (np.random.default_rng(100 + draw).random(len(clips)) < share)
                songs = measured.songs(clips, tagged)
                if songs.n_genres < 2:
                    continue
                results.append(judge(songs, fitted(songs, PRECISIONS[0]), lost))
                sizes.append(songs.trained.sum() / songs.n_genres)
                genres.append(songs.n_genres)
            if results:
                print(f"| {title} | {np.mean(sizes):.0f} | {np.mean(genres):.0f} | {line(np.concatenate(results))} |")


def finer(measured: Measured, name: str) -> tuple[list[Clip], dict[str, tuple[str, ...]]]:
    """Return the clips of a library by their finer genres, rare ones folded, and the tree that these make."""
    with (measured.shared / "data" / name / "labels.csv").open(encoding="utf-8", newline="") as file:
        details = {f"{name}/{row['file']}": row["detail"].casefold() for row in csv.DictReader(file)}
    paths = {row: path for path, row in measured.rows.items()}
    clips = measured.library(name)
    words = [details[paths[clip.row]] or clip.genres[0] for clip in clips]
    above = {word: clip.genres[0] for word, clip in zip(words, clips, strict=True)}
    counts = Counter(words)
    tree = {spelling(word): (wider,) if word == wider else (wider, word) for word, wider in above.items()}
    tree |= {spelling(clip.genres[0]): (clip.genres[0],) for clip in clips}
    genres = [word if counts[word] >= MIN_SONGS else above[word] for word in words]
    return [replace(clip, genres=(genre,)) for clip, genre in zip(clips, genres, strict=True)], tree


def print_wider(measured: Measured) -> None:
    """Print how many songs get their own finer genre, and how many of the others a wider one."""
    print("| Wanted | Songs that lost their genre | Songs | Own genre written | Right | Wider one written | Right |")
    print("|---|---|---|---|---|---|---|")
    clips, tree = finer(measured, "world")
    for precision in PRECISIONS:
        for by_artist in (False, True):
            found = np.concatenate([_wider(measured, clips, tree, precision, draw, by_artist) for draw in range(DRAWS)])
            what = "all songs of a third of the artists" if by_artist else "a third of the songs"
            own, wide = found[found[:, 0] == 1], found[found[:, 0] == 2]
            shares = [part[:, 1].mean() if len(part) else None for part in (own, wide)]
            cells = [
                f"{len(part) / len(found):.0%} | {'-' if share is None else f'{share:.0%}'}"
                for part, share in zip((own, wide), shares, strict=True)
            ]
            print(f"| {precision:.0%} | {what} | {len(found):,} | {' | '.join(cells)} |")


def _wider(
    measured: Measured,
    clips: list[Clip],
    tree: dict[str, tuple[str, ...]],
    precision: float,
    draw: int,
    by_artist: bool,
) -> np.ndarray:
    """Return (1 for a genre of its own, 2 for a wider one, 0 for none; is right), for songs that lost their genre."""
    lost = removed(clips, 1 / 3, np.random.default_rng(draw), by_artist=by_artist)
    songs = measured.songs(clips, ~lost)
    genres = measured.genres(clips, ~lost)
    wider = find_wider(genres, [clip.genres for clip in clips], tree)
    groups, names = [*wider.by_genre.values()], [*wider.by_genre]
    evidence = [*sound_evidence(songs, train_heads(songs), lost), *(kind[lost] for kind in tag_evidence(songs))]
    known = has_tagged_company(songs)[lost]
    found = np.zeros((len(known), 2))
    for number, regime in enumerate(fitted(songs, precision)):
        weights, allowed = songs.weights[regime.rows], wider.allowed[regime.rows]
        fit = fit_wider(wider, regime.probabilities, ~regime.written, allowed, weights, precision)
        chosen = np.flatnonzero(known == (number == KNOWN))
        joined = join_evidence([kind[chosen] for kind in evidence], regime.weights)
        is_own = confidence_of(joined, regime.slope, regime.bias) >= regime.threshold
        sums, is_wider = group_sums(joined, groups, names)
        is_sure = is_wider[sums.argmax(axis=1)] & (confidence_of(sums, fit.slope, fit.bias) >= fit.threshold)
        own = songs.allowed[lost][chosen, joined.argmax(axis=1)]
        wide = wider.allowed[lost][chosen, sums.argmax(axis=1)]
        found[chosen, 0] = np.where(is_own, 1, np.where(is_sure, 2, 0))
        found[chosen, 1] = np.where(is_own, own, wide)
    return found


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    measured = Measured(options.shared, options.work)
    print_removed(measured)
    print()
    print_curve(measured)
    print()
    print_wider(measured)


if __name__ == "__main__":
    main()
