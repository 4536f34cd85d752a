"""Evaluation reports as plain text and as rows of a Markdown table."""

from __future__ import annotations

import math
from collections.abc import Iterable

from genrify_tagger.training.evaluation import Report, SourceFigures
from genrify_tagger.training.metrics import GenreFigures
from genrify_tagger.training.splits import LEAKY

HEADER = (
    "| Model | Music | Split by | Tracks | Segments right | Tracks right | Mean over genres |",
    "|---|---|---|---|---|---|---|",
)
SHOWN_MISTAKES = 10


def markdown_table(reports: Iterable[Report]) -> str:
    """Return reports as a table, a row each; a leaky split has no figures for tracks."""
    return "\n".join([*HEADER, *(_row(report) for report in reports)])


def _row(report: Report) -> str:
    leaky = LEAKY in report.protocol
    cells = [
        f"`{report.model}`",
        report.dataset,
        report.protocol.replace(LEAKY, f"*{LEAKY}*") or _kept_apart(report),
        str(report.n_tracks),
        f"{report.segment_accuracy}" + (f" *{LEAKY}*" if leaky else ""),
        "–" if leaky else str(report.track_accuracy),
        "–" if leaky else str(report.macro_recall if report.n_labelled else report.grouped.macro),
    ]
    return f"| {' | '.join(cells)} |"


def _kept_apart(report: Report) -> str:
    """Return whether the test music was trained on, for a model that was not trained for this evaluation."""
    if report.n_trained_on is None:
        return "not known"
    return f"*{report.n_trained_on} trained on*" if report.n_trained_on else "none trained on"


def report_lines(report: Report, *, by_source: bool = False) -> list[str]:
    """Return a report as lines of plain text, if asked with a line for each source of the music."""
    lines = [f"{report.model} on {report.dataset}" + (f", split by {report.protocol}" if report.protocol else "")]
    leaky = f" ({LEAKY})" if LEAKY in report.protocol else ""
    if report.n_trained_on:
        known = f"{report.n_trained_on} of these tracks were in the model's training or validation set"
        lines.append(f"  {known}: the figures say nothing about new music")
    elif report.n_trained_on is None and not report.protocol:
        lines.append(
            "  what this model was trained on is not known: for music of its training set the figures say nothing"
        )
    lines += [
        f"  segments right   {report.segment_accuracy} of {report.n_segments}{leaky}",
        f"  tracks right     {report.track_accuracy} of {report.n_tracks}{leaky}",
    ]
    if report.n_labelled:
        lines.append(f"  mean over genres {report.macro_recall}{leaky}")
    if report.grouped.labels != report.labels:
        lines.append(f"  pop, rock and metal as one: {report.grouped.micro} of {report.grouped.n}")
        lines.append(f"    mean over groups {report.grouped.macro}{leaky}")
    default = report.at_default
    lines += [
        f"  calibration error {report.calibration_error:.3f}{leaky}",
        f"  at confidence {default.threshold:.2f} and above: {100 * default.coverage:.0f}% of tracks get a genre, "
        f"{_percent(default.precision)} of these are right; {100 * default.wrong:.1f}% get a wrong one",
    ]
    if report.outside.n:
        lines.append(f"  {_percent(report.outside.written)} of {report.outside.n} clips outside the labels get one")
    if report.n_ambiguous:
        lines.append(f"  {report.n_ambiguous} clips with several labels were left out")
    figures = report.genres if report.n_labelled else report.grouped.genres
    lines += [
        "",
        f"  precision  recall    F1  tracks{leaky}",
        *(_figures(label, one) for label, one in figures.items() if one.n),
    ]
    if by_source:
        lines += ["", "  tracks  written  right of those  source", *(_source(one) for one in report.sources)]
    if report.worst:
        lines += ["", "  most confident mistakes"]
        lines += [
            f"  {mistake.confidence:.2f}  {mistake.said:<10} {mistake.file} ({'; '.join(mistake.truth)})"
            for mistake in report.worst[:SHOWN_MISTAKES]
        ]
    return lines


def _figures(label: str, one: GenreFigures) -> str:
    return f"  {_percent(one.precision):>9} {_percent(one.recall):>7} {_percent(one.f1):>5} {one.n:>7}  {label}"


def _source(one: SourceFigures) -> str:
    right = _percent(one.right / one.written) if one.written else "-"
    return f"  {one.n:>6} {_percent(one.written / one.n):>8} {right:>15}  {one.source or '(no source named)'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if math.isfinite(share) else "-"
