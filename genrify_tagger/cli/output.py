"""Output to stdout and stderr: lines, JSON Lines, tables, consoles; safe whatever names and tags contain."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click

from genrify_tagger.files import printable

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])


def format_option(*formats: str) -> Callable[[F], F]:
    """Return the decorator that adds ``--format``; the first of `formats` is the default."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


def local_time(at: datetime, *, seconds: bool = False) -> str:
    """Format a time in the local time zone."""
    return f"{at.astimezone():{'%Y-%m-%d %H:%M:%S' if seconds else '%Y-%m-%d %H:%M'}}"


def write_line(text: str) -> None:
    """Print one line on stdout, with unprintable characters escaped."""
    click.echo(printable(text))


def write_text(text: str) -> None:
    """Print several lines on stdout as they are; the caller escapes names in them."""
    click.echo(text.rstrip("\n"))


def write_json(value: Any) -> None:
    """Print a value as one line of JSON on stdout, in UTF-8 whatever the terminal's encoding."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    # A lone surrogate (from a broken tag) becomes \\udcXX, which JSON reads as such.
    click.echo(text.encode("utf-8", "backslashreplace"))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()) -> list[str]:
    """Return lines with aligned columns, the headers first.

    Parameters
    ----------
    headers : sequence of str
        Column headers.
    rows : iterable of sequence of str
        Cells, in which unprintable characters are escaped.
    right : collection of str
        Headers of the columns to align right.
    """
    from rich.cells import cell_len

    cells = [list(headers), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(headers))]
    lines = []
    for row in cells:
        padded = []
        for cell, width, header in zip(row, widths, headers, strict=True):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if header in right else cell + space)
        lines.append("  ".join(padded).rstrip())
    return lines


def make_console(*, stderr: bool, quiet: bool = False) -> Console:
    """Return a rich console that prints text verbatim: no markup, no emoji codes, no wrapping.

    Colours follow the terminal, ``NO_COLOR`` and ``FORCE_COLOR``.
    """
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False, soft_wrap=True)
