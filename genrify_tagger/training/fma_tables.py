"""The tables of the Free Music Archive dataset, as published.

`tracks.csv` has a header of two rows (group, column) and a third that only names the index. Audio is at
`000/000002.mp3`, in the folder itself or in one named after the subset.

References
----------
M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson, "FMA: a dataset for music analysis", ISMIR 2017.
https://github.com/mdeff/fma
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genrify_tagger.errors import ConfigError

SUBSETS = ("small", "medium", "large")  # each holds the ones before it
METADATA = "fma_metadata"


@dataclass(frozen=True)
class FmaTrack:
    """A track with a top genre; `path` is None if its audio is missing."""

    id: int
    genre: str
    artist: str
    path: str | None


def tracks_csv(root: Path) -> Path | None:
    """Return the path of a dataset's table, or None."""
    for path in (root / "tracks.csv", root / METADATA / "tracks.csv", root.parent / METADATA / "tracks.csv"):
        if path.is_file() and (path.parent != root.parent / METADATA or root.name.startswith("fma_")):
            return path
    return None


def read_tracks(root: Path, subset: str | None = None) -> list[FmaTrack]:
    """Return the tracks of a subset (None for all three) that have a top genre.

    Raises
    ------
    ConfigError
        If the table is missing or lacks a column, or the subset is unknown.
    """
    table = tracks_csv(root)
    if table is None:
        raise ConfigError("no tracks.csv", path=str(root), hint=f"put it there or in {METADATA}/")
    wanted = _subsets(subset)
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        groups, columns = next(rows, []), next(rows, [])
        header = list(zip(groups, columns, strict=False))
        at_subset, at_genre, at_artist = (
            _index(header, key, table) for key in (("set", "subset"), ("track", "genre_top"), ("artist", "name"))
        )
        folders = _audio_folders(root)
        return [
            FmaTrack(int(row[0]), row[at_genre], row[at_artist], _audio(folders, int(row[0])))
            for row in rows
            if len(row) == len(header) and row[0].isdigit() and row[at_genre] and row[at_subset] in wanted
        ]


def _subsets(subset: str | None) -> Sequence[str]:
    if subset is None:
        return SUBSETS
    if subset not in SUBSETS:
        raise ConfigError(f"unknown subset {subset!r}", hint=f"one of {', '.join(SUBSETS)}")
    return SUBSETS[: SUBSETS.index(subset) + 1]


def _index(header: Sequence[tuple[str, str]], key: tuple[str, str], table: Path) -> int:
    if key not in header:
        raise ConfigError(f"has no column {'/'.join(key)}", path=str(table), hint="use tracks.csv as published")
    return header.index(key)


def _audio_folders(root: Path) -> list[Path]:
    return [folder for folder in (root, *(root / f"fma_{name}" for name in (*SUBSETS, "full"))) if folder.is_dir()]


def _audio(folders: Sequence[Path], track: int) -> str | None:
    for folder in folders:
        path = folder / f"{track // 1000:03d}" / f"{track:06d}.mp3"
        if path.is_file():
            return str(path)
    return None
