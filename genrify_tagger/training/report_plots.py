"""Plots of a training run and of an evaluation, readable without colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genrify_tagger.training.song_plots import GREYS, new_figure, save_figure

if TYPE_CHECKING:
    from genrify_tagger.training.evaluation import Report
    from genrify_tagger.training.training_loop import EpochResult


def plot_history(history: Sequence[EpochResult], path: Path) -> Path:
    """Plot losses and validation accuracy over the epochs, with the best epoch marked."""
    figure = new_figure(7.5, 4.0)
    losses, shares = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [2, 1]})
    epochs = np.arange(1, len(history) + 1)
    validation = [epoch.validation_loss for epoch in history]
    losses.plot(epochs, [epoch.loss for epoch in history], "k--", label="training (augmented)")
    losses.plot(epochs, validation, "k-o", markersize=3, label="validation")
    best = int(np.argmin(validation))
    losses.axvline(best + 1, color="0.6", linestyle=":", label=f"kept: epoch {best + 1}")
    losses.set_ylabel("loss")
    losses.legend(fontsize=8)
    shares.plot(epochs, [100 * epoch.validation_accuracy for epoch in history], "k-o", markersize=3)
    shares.set_ylabel("% right")
    shares.set_xlabel("epoch")
    shares.xaxis.get_major_locator().set_params(integer=True)
    return save_figure(figure, path)


def plot_report(report: Report, folder: Path) -> list[Path]:
    """Plot confusion matrices, reliability and coverage into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    if report.n_labelled:
        pictures.append(plot_confusion(report.labels, report.confusion, _title(report), folder / "confusion.png"))
    if report.grouped.n and report.grouped.labels != report.labels:
        groups, matrix = report.grouped.labels, report.grouped.confusion
        title = f"{_heading(report)}: {report.grouped.micro}, pop, rock and metal as one"
        pictures.append(plot_confusion(groups, matrix, title, folder / "confusion-groups.png"))
    if report.n_tracks:
        pictures.append(plot_reliability(report, folder / "reliability.png"))
        pictures.append(plot_coverage(report, folder / "coverage.png"))
    return pictures


def plot_confusion(labels: Sequence[str], matrix: Sequence[Sequence[int]], title: str, path: Path) -> Path:
    """Plot a confusion matrix: rows are true labels, columns predicted ones; shades are shares of the row."""
    counts = np.array(matrix)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(1.5 + 0.55 * len(labels), 1.3 + 0.5 * len(labels), title)
    axes = figure.subplots()
    axes.imshow(shares, cmap=GREYS, vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            ink = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", color=ink, fontsize=8)
    axes.set_xticks(range(len(labels)), list(labels), rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), list(labels))
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return save_figure(figure, path)


def plot_reliability(report: Report, path: Path) -> Path:
    """Plot accuracy against confidence; the numbers count tracks."""
    title = f"{_title(report)}\nexpected calibration error {report.calibration_error:.3f}"
    figure = new_figure(4.6, 4.4, title)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfectly calibrated")
    bins = report.reliability
    axes.bar(
        [one.low for one in bins],
        [one.accuracy for one in bins],
        width=[one.high - one.low for one in bins],
        align="edge",
        color="0.85",
        edgecolor="black",
    )
    axes.plot([one.confidence for one in bins], [one.accuracy for one in bins], "ko", markersize=4, label="mean of bin")
    for one in bins:
        axes.text((one.low + one.high) / 2, 0.02, str(one.n), ha="center", fontsize=7)
    axes.set(xlabel="confidence", ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))
    axes.legend(fontsize=8, loc="upper left")
    return save_figure(figure, path)


def plot_coverage(report: Report, path: Path) -> Path:
    """Plot precision against coverage; the labels are thresholds."""
    figure = new_figure(5.2, 4.0, _title(report))
    axes = figure.subplots()
    points = [point for point in report.coverage if point.coverage > 0]
    axes.plot([point.coverage for point in points], [point.precision for point in points], "k-o", markersize=3)
    # Thresholds with no track between them share a point, which is labelled with the highest.
    for at, point in {(one.coverage, one.precision): one for one in points[::2]}.items():
        axes.annotate(f"{point.threshold:.1f}", at, xytext=(4, 4), textcoords="offset points", fontsize=7)
    default = report.at_default
    if default.coverage > 0:
        label = f"default threshold {default.threshold:.2f}"
        axes.plot([default.coverage], [default.precision], "k*", markersize=13, markerfacecolor="white", label=label)
        axes.legend(fontsize=8, loc="lower left")
    axes.set(xlabel="share of tracks that get a genre", ylabel="share of those that is right", xlim=(0, 1.05))
    return save_figure(figure, path)


def _title(report: Report) -> str:
    return f"{_heading(report)}: {report.track_accuracy}"


def _heading(report: Report) -> str:
    protocol = f", split by {report.protocol}" if report.protocol else ""
    met = f" ({report.n_trained_on} trained on)" if report.n_trained_on else ""
    return f"{report.model} on {report.dataset}{protocol}{met}"
