"""The model card's section on the genre tree, from its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tree_calibration import ALIKE
from tree_clips import NAMES
from tree_features import COPIES

Scores = Mapping[str, Any]


def card_section(scores: Scores) -> str:
    """Return the tables."""
    return "\n".join(
        [
            "",
            *_operating(scores),
            *_thresholds(scores),
            *_conditions(scores),
            *_calibration(scores),
            *_genres(scores),
            *_sources(scores),
            *_copies(scores),
            "",
        ]
    )


def ablations_section(found: Sequence[Scores]) -> str:
    """Return the table of what was tried and not kept."""
    lines = ["", "| Idea | written | right of those | data/world: written | right of those |", "|---|---|---|---|---|"]
    for row in found:
        cells = (f"{row[part][name]:.1%}" for part in ("all", "data/world") for name in ("written", "right"))
        lines.append(f"| {row['text']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _operating(scores: Scores) -> list[str]:
    thresholds = scores["nested thresholds"]
    lines = [
        f"{scores['clips']} clips with a genre of the tree, {scores['sources']} sources in {scores['folds']} folds. "
        f"The threshold is chosen without the fold, too: {thresholds[0]:.2f} to {thresholds[-1]:.2f}; shipped is "
        f"{scores['threshold']:.2f}. 95% intervals draw folds (clips, where a row is of one source).",
        "",
        "| Sources held out | written | right of those written |",
        "|---|---|---|",
    ]
    names = {"alike": "(no source counts as more than 60 clips)"}
    for name, row in scores["held-out sources"].items():
        lines.append(_row(name.replace("sources alike", names["alike"]).replace(", (", " ("), row))
    lines += ["", "| Artists held out, sources known | written | right of those written |", "|---|---|---|"]
    lines += [_row(name, row) for name, row in scores["held-out artists"].items()]
    outside = "; ".join(f"{name} {row['written']} of {row['n']}" for name, row in scores["outside"].items())
    return [*lines, "", f"Written although it has no genre of the tree, sources held out: {outside}.", ""]


def _thresholds(scores: Scores) -> list[str]:
    lines = [
        "| `min_confidence`, sources held out | written | right | data/world alone: written | right |",
        "|---|---|---|---|---|",
    ]
    for row in scores["thresholds"]:
        figures = [row[part][name] for part in ("all", "data/world alone") for name in ("written", "precision")]
        lines.append(f"| {row['threshold']:.2f} | {' | '.join(map(_interval, figures))} |")
    return [*lines, ""]


def _conditions(scores: Scores) -> list[str]:
    """Tell what the threshold would write if nine in ten had to be right in fewer ways of counting."""
    lines = [
        "| Nine in ten must be right over | thresholds | all: written | right | right, sources alike | "
        "data/world alone: written | right | right, sources alike |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in scores["conditions"]:
        figures = [
            row[name][figure]
            for part in ("all", "data/world alone")
            for name, figure in ((part, "written"), (part, "precision"), (f"{part}{ALIKE}", "precision"))
        ]
        text = "; ".join(row["conditions"])
        lines.append(f"| {text} | {row['lowest']:.2f}-{row['highest']:.2f} | {' | '.join(map(_interval, figures))} |")
    return [*lines, ""]


def _row(name: str, row: Scores) -> str:
    written, precision = row["written"], row["precision"]
    counts = f"{precision['hits']} of {precision['n']}"
    return f"| {name} | {_interval(written)} | {_interval(precision)}; {counts} |"


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.1%} ({figure['low']:.0%}-{figure['high']:.0%})"


def _calibration(scores: Scores) -> list[str]:
    lines = [
        "| Confidence in the top genre, sources held out | clips | mean | right | right, sources alike |",
        "|---|---|---|---|---|",
    ]
    for row in scores["calibration"]:
        lines.append(
            f"| {row['from']:.1f} to {row['from'] + 0.2:.1f} | {row['n']} | {row['confidence']:.2f} | "
            f"{row['right']:.2f} | {row['right, sources alike']:.2f} |"
        )
    return [*lines, ""]


def _genres(scores: Scores) -> list[str]:
    lines = ["| Genre | written | right | sources right |", "|---|---|---|---|"]
    lines += [_genre(row) for row in scores["by genre"]]
    lines += ["", "| If it were written, where labels tell | written | right | sources right |", "|---|---|---|---|"]
    return [*lines, *(_genre(row) for row in scores["children"]), ""]


def _genre(row: Scores) -> str:
    return f"| {NAMES[row['genre']]} | {row['written']} | {row['right']} | {row['sources']} |"


def _sources(scores: Scores) -> list[str]:
    lines = ["| Source, held out | clips | written | right |", "|---|---|---|---|"]
    lines += [f"| {row['source']} | {row['n']} | {row['written']} | {row['right']} |" for row in scores["by source"]]
    return [*lines, ""]


def _copies(scores: Scores) -> list[str]:
    lines = [
        "| Copy of a clip, sources held out | written before | same genre | unsure | another genre | newly written "
        "(of these wrong) |",
        "|---|---|---|---|---|---|",
    ]
    for copy, row in scores["copies"].items():
        lines.append(
            f"| {COPIES[copy]} | {row['written before']} | {row['same']} | {row['unsure']} | {row['another']} | "
            f"{row['newly written']} ({row['newly written, wrong']}) |"
        )
    return lines
