"""Labelled music on disk: the clips of a dataset with their labels and groups.

Four layouts are read:

* *folders*: a folder for each genre with its clips in it, as GTZAN is published;
* *fma*: `tracks.csv` as the Free Music Archive dataset publishes it (see `fma_tables`);
* *csv*: a table of files and labels, several labels separated by ";", with an optional column for the group (artist);
* *library*: any folder of tagged music; the genres are read from the files.

References
----------
G. Tzanetakis and P. Cook, "Musical genre classification of audio signals", IEEE Trans. Speech and Audio 10(5), 2002.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from genrify_tagger.errors import ConfigError, TagError
from genrify_tagger.training.fma_tables import read_tracks, tracks_csv
from genrify_tagger.training.genre_labels import GENRES, acceptable_genres, normalise_label

LAYOUTS = ("folders", "fma", "csv", "library")
AUDIO_SUFFIXES = frozenset(
    [
        ".aac",
        ".aif",
        ".aifc",
        ".aiff",
        ".ape",
        ".au",
        ".dsf",
        ".flac",
        ".m4a",
        ".mp3",
        ".mp4",
        ".mpc",
        ".oga",
        ".ogg",
        ".opus",
        ".spx",
        ".wav",
        ".wma",
        ".wv",
    ]
)
FILE_COLUMNS = ("file", "path", "filename")
LABEL_COLUMNS = ("genres", "genre", "labels", "label")
GROUP_COLUMNS = ("artist", "group")
SOURCE_COLUMN = "source"
SEPARATOR = ";"


@dataclass(frozen=True)
class Clip:
    """One labelled file.

    Attributes
    ----------
    path : str
    name : str
        Its name in lists and reports: the path within the dataset, with slashes and without suffix.
    labels : tuple of str
        In the spelling of `genre_labels.normalise_label`; the first is the main one.
    group : str
        Clips of one group (the artist) must be on one side of a split; the clip's own name if unknown.
    source : str
        Where it comes from, if the dataset combines several: the column `source` of a table.
    """

    path: str
    name: str
    labels: tuple[str, ...]
    group: str
    source: str = ""


@dataclass(frozen=True)
class SkippedFile:
    """A file that is skipped, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """Clips, and the files that are skipped."""

    name: str
    clips: tuple[Clip, ...]
    problems: tuple[SkippedFile, ...] = ()

    def only(self, names: Iterable[str]) -> Dataset:
        """Return the dataset with the named clips only (see `Clip.name`; suffixes are ignored)."""
        wanted = {without_suffix(name) for name in names}
        return replace(self, clips=tuple(clip for clip in self.clips if clip.name in wanted))


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table of files and labels; None for the usual ones."""

    file: str | None = None
    label: str | None = None
    group: str | None = None


def open_dataset(
    source: str, *, columns: Columns | None = None, subset: str | None = None, any_label: bool = False
) -> Dataset:
    """List a dataset.

    Parameters
    ----------
    source : str
        A path, with the layout before it where it cannot be detected: ``fma:~/fma``, ``library:~/Music``.
    columns : Columns or None
        For the layout *csv*.
    subset : str or None
        For the layout *fma*: small, medium or large; None for all.
    any_label : bool
        For the layout *library*: include files whose genre is none of the ten. Such a genre ("Alternative Rock") may
        well be one of the ten by another name, so it must not be trained on or tested as if it were outside.

    Raises
    ------
    ConfigError
        If there is no dataset, or none of that layout.
    """
    layout, path = _layout(source)
    if layout == "fma":
        dataset = _fma(path, subset)
    elif layout == "csv":
        dataset = _table(path, columns or Columns())
    else:
        dataset = _folders(path) if layout == "folders" else _library(path, any_label=any_label)
    if not dataset.clips:
        raise ConfigError("has no labelled audio", path=str(path), hint=_explain(layout))
    return dataset


def without_suffix(name: str) -> str:
    """Return a path with slashes and without an audio suffix: `blues/blues.00001` for `blues/blues.00001.wav`."""
    stem, suffix = os.path.splitext(name.strip().replace(os.sep, "/"))
    return stem if suffix.casefold() in AUDIO_SUFFIXES else name.strip().replace(os.sep, "/")


def read_list(path: str) -> list[str]:
    """Read a list of clips, one name a line, such as GTZAN's fault-filtered lists."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read the list: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("not a list of names: it is not text in UTF-8", path=path) from error
    return [without_suffix(line) for line in lines if line.strip()]


def _layout(source: str) -> tuple[str, Path]:
    prefix, separator, rest = source.partition(":")
    named = bool(separator) and prefix in LAYOUTS
    path = Path(rest if named else source).expanduser()
    if not path.exists():
        raise ConfigError("no such dataset", path=str(path))
    return (prefix if named else _guess(path)), path


def _guess(path: Path) -> str:
    if path.is_file():
        return "csv"
    if tracks_csv(path) is not None:
        return "fma"
    if (path / "labels.csv").is_file():
        return "csv"
    folders = [entry.name for entry in path.iterdir() if entry.is_dir()]
    return (
        "folders"
        if sum(normalise_label(name) in GENRES for name in folders) >= min(2, len(folders) or 1)
        else "library"
    )


def _explain(layout: str) -> str:
    return f"read as {layout!r}; put another layout before the path, such as {LAYOUTS[0]}:PATH ({', '.join(LAYOUTS)})"


def _folders(root: Path) -> Dataset:
    clips = []
    for folder in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        for path in audio_files(folder):
            name = without_suffix(str(path.relative_to(root)))
            clips.append(Clip(str(path), name, (normalise_label(folder.name),), name))
    return Dataset(root.name, tuple(clips))


def audio_files(root: Path) -> list[Path]:
    """Return all files below a folder that have an audio suffix, sorted."""
    found = (Path(folder) / name for folder, _, names in os.walk(root) for name in names if not name.startswith("."))
    return sorted(path for path in found if path.suffix.casefold() in AUDIO_SUFFIXES)


def _table(path: Path, columns: Columns) -> Dataset:
    table = path if path.is_file() else path / "labels.csv"
    header, rows = _read_csv(table)
    file_column = _column(header, columns.file, FILE_COLUMNS, table)
    label_column = _column(header, columns.label, LABEL_COLUMNS, table)
    group_column = _optional_column(header, columns.group, GROUP_COLUMNS, table)
    clips, problems = [], []
    for row in rows:
        at = table.parent / row[file_column]
        name = without_suffix(row[file_column])
        labels = tuple(normalise_label(label) for label in row[label_column].split(SEPARATOR) if label.strip())
        if not at.is_file():
            problems.append(SkippedFile(str(at), "no such file"))
        elif not labels:
            problems.append(SkippedFile(str(at), "no label"))
        else:
            group = _group(row[group_column] if group_column else "") or name
            clips.append(Clip(str(at), name, labels, group, row.get(SOURCE_COLUMN, "")))
    return Dataset(table.parent.name or table.stem, tuple(clips), tuple(problems))


def _read_csv(table: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the column names and the rows; missing fields are empty."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            rows = [row for row in reader if any(row.values())]
            return reader.fieldnames or (), rows
    except OSError as error:
        raise ConfigError(f"cannot read the table: {error.strerror}", path=str(table)) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("not a table of files and labels: it is not CSV in UTF-8", path=str(table)) from error


def _optional_column(header: Sequence[str], wanted: str | None, usual: Sequence[str], table: Path) -> str | None:
    if wanted is None and not set(usual) & set(header):
        return None
    return _column(header, wanted, usual, table)


def _column(header: Sequence[str], wanted: str | None, usual: Sequence[str], table: Path) -> str:
    candidates = [wanted] if wanted else list(usual)
    for name in candidates:
        if name in header:
            return name
    columns = ", ".join(header) or "none"
    raise ConfigError(f"has no column {' or '.join(candidates)}; its columns: {columns}", path=str(table))


def _group(artist: str) -> str:
    """Return an artist's name without case and punctuation, for comparison."""
    return "".join(letter for letter in artist.casefold() if letter.isalnum())


def _fma(root: Path, subset: str | None) -> Dataset:
    clips, problems = [], []
    for track in read_tracks(root, subset):
        name = f"{track.id // 1000:03d}/{track.id:06d}"
        if track.path is None:
            problems.append(SkippedFile(str(root / f"{name}.mp3"), "no such file"))
        else:
            clips.append(Clip(track.path, name, (normalise_label(track.genre),), _group(track.artist) or name))
    return Dataset(f"{root.name} {subset}" if subset else root.name, tuple(clips), tuple(problems))


def _library(root: Path, *, any_label: bool) -> Dataset:
    clips, problems = [], []
    for path in audio_files(root):
        genres, reason = _genres_in(path)
        labels = tuple(normalise_label(genre) for genre in genres)
        name = without_suffix(str(path.relative_to(root)))
        # With the usual layout Artist/Album/song the first folder is the artist.
        group = name.split("/")[0] if "/" in name else name
        if acceptable_genres(labels) or (labels and any_label):
            clips.append(Clip(str(path), name, labels, group))
        else:
            problems.append(SkippedFile(str(path), reason or _lacking(labels)))
    return Dataset(root.name, tuple(clips), tuple(problems))


def _lacking(labels: Sequence[str]) -> str:
    return f"none of the ten genres: {'; '.join(labels)}" if labels else "has no genre"


def _genres_in(path: Path) -> tuple[tuple[str, ...], str | None]:
    from genrify_tagger import tags

    try:
        return tags.read(str(path)).genres, None
    except TagError as error:
        return (), str(error)
