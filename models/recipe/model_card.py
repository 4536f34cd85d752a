"""The figures in README and in the model card, as text, so that none is copied by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GROUPS = ("blues", "country", "hiphop", "jazz", "pop/rock", "reggae")
DISPLAYED = {"hiphop": "hip-hop", "rnb": "R&B", "newage": "new age", "spoken": "spoken word"}

Scores = Mapping[str, Any]


def replace_section(content: str, text: str, mark: str = "model") -> str:
    """Return a file's content with the text between two marks replaced.

    Raises
    ------
    ValueError
        If a mark is missing.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, begun, rest = content.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the text has no {begin} ... {end}")
    return f"{before}{begin}\n{text}{end}{after}"


def readme_section(scores: Scores) -> str:
    """Return README's section on the model."""
    found, at = scores["accuracy"], scores["operating"]
    ten, outside, speech = at["one genre, of the ten"], at["none of the ten"], at["speech"]
    weak = min(GROUPS, key=lambda name: found[name]["value"])
    broad = scores["broad"]["AllMusic"]
    return f"""
Measured on songs of artists that the network was not trained on (five-fold cross-validation, {int(ten["right"]["n"])} \
clips of one genre;
95% intervals in brackets, wide because the sets are small), model `{scores["model"]}`:

| | |
|---|---|
| right, of six groups (pop, rock and metal as one), AllMusic's labels | {format_interval(found["micro"])} |
| the same, every group counting alike | {format_interval(found["macro"])} |
| right, of the ten genres, GTZAN validation list | {format_interval(found["gtzan_valid"])} |
| songs of the ten that get a genre, by default | {format_interval(ten["written"])} |
| songs of the ten that get a wrong one | {format_interval(ten["wrong"])} |
| of the genres written, right | {format_interval(ten["precision"])} |
| songs of other genres (electronic, Latin, R&B ...) that get one of the ten anyway | \
{format_interval(outside["written"])} |
| speech that gets one | {format_interval(speech["written"])} |

Weak spots: {display_label(weak)} is right in {percent(found[weak]["value"])} of \
{int(found[weak]["n"])} clips; music \
of other genres is too often given one of
the ten; disco, metal, pop and rock are distinguished by GTZAN's few clips only, so expect little there.
`--vocabulary broad` names more genres (Electronic, R&B, Folk, Punk, Spoken Word ...) but fewer songs:
{format_interval(broad["written"])} of AllMusic's clips get one, \
{format_interval(broad["precision"])} of these an acceptable one.

All figures, the protocol and the known weaknesses: [models/MODEL_CARD.md](models/MODEL_CARD.md),
[models/scores.json](models/scores.json).

"""


def card_section(scores: Scores) -> str:
    """Return the tables of the model card."""
    return "\n".join(["", *_accuracy(scores), *_operating(scores), *_broad(scores)])


def ablations_section(found: Scores) -> str:
    """Return the tables of the ablations."""
    ablations = {name: row for name, row in found.items() if "text" in row}
    right, shares = ("micro", "macro", "gtzan_valid"), ("written", "wrong", "precision")
    rows = [
        f"| {row['text']} | "
        + " | ".join(
            f"{_number(row[name]['value'])} ({_range(row[name])})" for name in ("micro", "macro", "gtzan_valid")
        )
        + f" | {_number(row['auroc_outside']['value'])} | "
        + " | ".join(_number(row[name]["value"]) for name in shares)
        + " |"
        for row in ablations.values()
    ]
    genre = found["thresholds by genre"]
    alike = [
        f"| {temperature} | " + " | ".join(_number(row[name]) for name in right) + " |"
        for temperature, row in found["temperature of pop, rock and metal"].items()
    ]
    return "\n".join(
        [
            "",
            "| Idea | micro | macro | GTZAN validation | AUROC of `outside` | written | wrong | precision |",
            "|---|---|---|---|---|---|---|---|",
            *rows,
            "| shipped, with a threshold for each genre | as shipped | as shipped | as shipped | as shipped | "
            + " | ".join(_number(genre[name]) for name in shares)
            + " |",
            "",
            "| Temperature among pop, rock and metal | micro | macro | GTZAN validation |",
            "|---|---|---|---|",
            *alike,
            "",
            "| Threshold | of the ten: written | and wrong | outside: written | no music: written |",
            "|---|---|---|---|---|",
            *(
                f"| {threshold} | "
                + " | ".join(_number(row[name]) for name in ("written", "wrong", "outside", "no music"))
                + " |"
                for threshold, row in found["thresholds"].items()
            ),
            "",
        ]
    )


def _accuracy(scores: Scores) -> list[str]:
    found = scores["accuracy"]
    named = {
        "micro": "micro, six groups",
        "macro": "macro, six groups",
        **{name: display_label(name) for name in GROUPS},
        "gtzan_valid": "GTZAN validation list, ten genres",
        "auroc_outside": "AUROC of `outside`: those clips against AllMusic's wholly outside",
    }
    rows = [
        f"| {text} | {_number(found[name]['value'])} | {_range(found[name])} | {int(found[name]['n'])} |"
        for name, text in named.items()
    ]
    return ["| | value | 95% interval | clips |", "|---|---|---|---|", *rows, ""]


def _operating(scores: Scores) -> list[str]:
    names = ("right", "written", "wrong", "precision", "calibration_error")
    rows = []
    for population, row in scores["operating"].items():
        cells = [f"{_number(row[name]['value'])} ({_range(row[name])})" for name in names]
        if not row["right"]["value"]:
            cells[0] = cells[3] = cells[4] = "-"
        rows.append(f"| {population} ({int(row['right']['n'])}) | " + " | ".join(cells) + " |")
    return [
        f"At the default threshold of `gtzan`, {scores['threshold']}:",
        "",
        "| Songs | right if always written | written | written and wrong | precision | calibration error |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]


def _broad(scores: Scores) -> list[str]:
    found = scores["broad"]
    rows = []
    for label, row in found["labels"].items():
        area, average = (
            f"{_number(row[name]['value'])} ({_range(row[name])})" if name in row else "too few"
            for name in ("auroc", "average_precision")
        )
        given = f"{row['given_rightly']}/{row['given']}"
        rows.append(f"| {display_label(label)} | {row['n']} of {row['of']} | {area} | {average} | {given} |")
    whole = found["AllMusic"]
    spoken, noise = found["speech"]["written Spoken Word"]["value"], found["no music"]["written"]["value"]
    return [
        f"At the default threshold of `broad`, {found['threshold']}: {format_interval(whole['written'])} of AllMusic's "
        f"{int(whole['written']['n'])} clips get a label, {format_interval(whole['precision'])} of these",
        f"an acceptable one; of passages read by a voice not trained on, {percent(spoken)} get Spoken Word; of",
        f"non-musical sounds of a kind not trained on, {percent(noise)} get some label.",
        "",
        "| Label | positives | AUROC | average precision | at the threshold: right/given |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def format_interval(figure: Mapping[str, float]) -> str:
    """Return a share with its interval, in percent."""
    return f"{percent(figure['value'])} [{100 * figure['low']:.0f}, {100 * figure['high']:.0f}]"


def percent(value: float) -> str:
    """Return a share in whole percent.

    >>> percent(0.634)
    '63%'
    """
    return f"{100 * value:.0f}%"


def display_label(label: str) -> str:
    """Return the displayed form of a label."""
    return DISPLAYED.get(label, label)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _range(figure: Mapping[str, float]) -> str:
    return f"{_number(figure['low'])}-{_number(figure['high'])}"
