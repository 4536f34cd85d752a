"""`genrify-tag audit`: list songs whose genre contradicts the rest of the library."""

from __future__ import annotations

import math
import os

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option, table, write_json, write_line


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--count", "-n", type=click.IntRange(1), default=50, show_default=True, help="Number of songs.")
@model_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, paths: tuple[str, ...], count: int, output_format: str) -> None:
    """List songs whose genre contradicts the rest of the library.

    Each song is judged by the sound of songs of other artists, and by the genres of the other songs of its artist and
    album; it never judges itself. The most surprising come first. Nothing is written; `genrify-tag set` corrects a
    genre.

    \b
    Examples:
      genrify-tag audit
      genrify-tag audit ~/Music/Rock -n 20
      genrify-tag audit --format jsonl
    """  # noqa: D301
    from genrify_tagger.files import display_path, json_path
    from genrify_tagger.learn.contradictions import find_contradictions
    from genrify_tagger.pipeline import open_session

    with open_session(state.settings(), files=1, create=False) as session:
        found = find_contradictions(session, [os.path.abspath(path) for path in paths])[:count]
    if output_format == "jsonl":
        for one in found:
            values = {"genres": list(one.genres), "expected": one.expected, "log_odds": round(one.log_odds, 4)}
            write_json({"schema": 1, **json_path(one.path), **values})
        return
    if not found:
        write_line("No song's genre contradicts the rest of the library, or too few songs have a genre.")
        return
    rows = [[_odds(one.log_odds), one.expected, ", ".join(one.genres), display_path(one.path)] for one in found]
    for line in table(["Odds", "Expected", "In the file", "File"], rows, right={"Odds"}):
        write_line(line)


def _odds(log_odds: float) -> str:
    odds = math.exp(min(log_odds, 14))
    return f"{odds:,.0f}:1" if odds >= 10 else f"{odds:.1f}:1"
