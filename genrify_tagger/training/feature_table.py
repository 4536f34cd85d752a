"""The feature table of the reference study: computed from a dataset, written and read as CSV, compared with another."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.datasets import Clip, SkippedFile, without_suffix
from genrify_tagger.training.process_map import map_in_processes
from genrify_tagger.training.reference_study_features import (
    FEATURES,
    SEGMENT_SAMPLES,
    ClipFeatures,
    features_of_file,
    load_librosa,
)

COLUMNS = ("filename", "length", *FEATURES, "label")


@dataclass(frozen=True)
class FeatureTable:
    """Rows of features.

    Attributes
    ----------
    files : tuple of str
        As published: file name for a whole clip, with the segment's number before the suffix for a segment.
    lengths : ndarray of int, shape (n,)
        Samples at 22,050 Hz.
    values : ndarray, shape (n, 57)
    labels : tuple of str
    """

    files: tuple[str, ...]
    lengths: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ColumnAgreement:
    """Agreement of a column with the published one: correlation, median and 95th percentile of the difference.

    Differences are in standard deviations of the published column, since several columns vary around zero.
    """

    column: str
    correlation: float
    median: float
    high: float


def compute_features(
    clips: Sequence[Clip], *, seconds: int = 3, jobs: int = 0, progress: bool = True
) -> tuple[list[tuple[Clip, ClipFeatures]], list[SkippedFile]]:
    """Compute the features of every clip, of its 3-second segments or of its whole.

    Returns
    -------
    described : list of (Clip, ClipFeatures)
        In the order of the clips, without those that failed.
    problems : list of SkippedFile
    """
    load_librosa()
    size = SEGMENT_SAMPLES if seconds == 3 else None
    tasks = [(clip.path, size) for clip in clips]
    title = "Computing features" if progress else ""
    found: list[tuple[Clip, ClipFeatures]] = []
    problems = []
    for clip, (_, described, reason) in zip(
        clips, map_in_processes(features_of_file, tasks, jobs=jobs, title=title), strict=True
    ):
        if described is None:
            problems.append(SkippedFile(clip.path, reason or "no result"))
        else:
            found.append((clip, described))
    return found, problems


def build_table(described: Sequence[tuple[Clip, ClipFeatures]], *, seconds: int = 3) -> FeatureTable:
    """Return the features of clips as one table, with the first label of each clip."""
    rows = [(clip, number, one) for clip, one in described for number in range(len(one.lengths))]
    return FeatureTable(
        files=tuple(_file_name(clip, number, seconds) for clip, number, _ in rows),
        lengths=np.array([one.lengths[number] for _, number, one in rows], np.int64),
        values=np.array([one.table[number] for _, number, one in rows]).reshape(-1, len(FEATURES)),
        labels=tuple(clip.labels[0] for clip, _, _ in rows),
    )


def _file_name(clip: Clip, number: int, seconds: int) -> str:
    path = Path(clip.path)
    return f"{path.stem}.{number}{path.suffix}" if seconds == 3 else path.name


def write_table(table: FeatureTable, file: TextIO) -> None:
    """Write a table with the columns as published."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, length, values, label in zip(table.files, table.lengths, table.values, table.labels, strict=True):
        writer.writerow([name, int(length), *(repr(float(value)) for value in values), label])


def read_table(path: str) -> FeatureTable:
    """Read a table of these features.

    Raises
    ------
    ConfigError
        If it cannot be read or lacks columns.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigError(f"cannot read the table: {error.strerror}", path=path) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("not a feature table: it is not CSV in UTF-8", path=path) from error
    if not rows or not set(COLUMNS) <= set(rows[0]):
        raise ConfigError("not a feature table: columns are missing", path=path)
    try:
        lengths = np.array([int(row["length"]) for row in rows])
        values = np.array([[float(row[name]) for name in FEATURES] for row in rows])
    except (TypeError, ValueError) as error:  # a row that ends early has None
        raise ConfigError("damaged: a row of the table lacks a number", path=path) from error
    return FeatureTable(
        files=tuple(row["filename"] for row in rows),
        lengths=lengths,
        values=values,
        labels=tuple(row["label"] for row in rows),
    )


def is_table(path: str) -> bool:
    """Return whether a file is a table of these features, by its first line."""
    if not os.path.isfile(path):
        return False
    with open(path, encoding="utf-8", errors="replace") as file:
        return set(COLUMNS) <= set(file.readline().strip().split(","))


def compare_tables(computed: FeatureTable, published: FeatureTable) -> tuple[int, list[ColumnAgreement]]:
    """Compare the clips that are in both tables, column by column.

    Returns
    -------
    n : int
        Number of clips in both tables.
    columns : list of ColumnAgreement

    Raises
    ------
    ConfigError
        If fewer than three clips are in both.
    """
    published_rows = {without_suffix(name): row for name, row in zip(published.files, published.values, strict=True)}
    names = [without_suffix(name) for name in computed.files]
    both = [
        (row, published_rows[name]) for name, row in zip(names, computed.values, strict=True) if name in published_rows
    ]
    if len(both) < 3:
        raise ConfigError(
            "fewer than three clips are in both tables", hint="compare tables of whole clips: --seconds 30"
        )
    x, y = (np.array(side) for side in zip(*both, strict=True))
    return len(both), [_closeness(name, x[:, at], y[:, at]) for at, name in enumerate(FEATURES)]


def _closeness(name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> ColumnAgreement:
    difference = np.abs(x - y) / max(float(y.std()), 1e-12)
    constant = x.std() == 0 or y.std() == 0
    correlation = float("nan") if constant else float(np.corrcoef(x, y)[0, 1])
    return ColumnAgreement(name, correlation, float(np.median(difference)), float(np.percentile(difference, 95)))
