"""`genrify-tag audit`: list songs whose genre contradicts the rest of the library."""

from __future__ import annotations

import os

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option, table, write_json, write_line
from genrify_tagger.cli.scanned_paths import scanned_paths


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--count", "-n", type=click.IntRange(1), default=50, show_default=True, help="Number of songs.")
@click.option("--keep", is_flag=True, help="Confirm the genres of these files, as if you had set them; list nothing.")
@model_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, paths: tuple[str, ...], count: int, keep: bool, output_format: str) -> int:
    """List songs whose genre contradicts the rest of the library.

    Each song is judged by the sound of songs of other artists, and by the genres of the other songs of its artist and
    album. The most surprising come first. No file is changed: `genrify-tag set` corrects a genre, `--keep FILE...`
    confirms it; either way, the song is not listed again.

    \b
    Examples:
      genrify-tag audit
      genrify-tag audit ~/Music/Rock -n 20
      genrify-tag audit --keep song.mp3
      genrify-tag audit --format jsonl
    """  # noqa: D301
    from genrify_tagger.files import display_path, json_path
    from genrify_tagger.learn.contradictions import find_contradictions
    from genrify_tagger.pipeline import open_session

    if keep:
        return _keep(state, paths, output_format)
    with open_session(state.settings(), files=1, create=False) as session:
        places = scanned_paths(session.store, paths)
        with state.console.status("") as status:
            found = find_contradictions(session, places, on_step=status.update)[:count]
    if output_format == "jsonl":
        for one in found:
            values = {"genres": list(one.genres), "expected": one.expected, "log_odds": round(one.log_odds, 4)}
            write_json({"schema": 1, **json_path(one.path), **values})
        return 0
    if not found:
        write_line("No song's genre contradicts the rest of the library, or too few songs have a genre.")
        return 0
    rows = [[one.odds, one.expected, ", ".join(one.genres), display_path(one.path)] for one in found]
    for line in table(["Odds", "Expected", "In the file", "File"], rows, right={"Odds"}):
        write_line(line)
    if not state.quiet:
        state.console.print("To correct one: genrify-tag set FILE GENRE. To confirm one: genrify-tag audit --keep FILE")
    return 0


def _keep(state: CliContext, paths: tuple[str, ...], output_format: str) -> int:
    from genrify_tagger.cli.change_run import run_changes
    from genrify_tagger.files import display_path
    from genrify_tagger.pipeline import keep_genres, open_session

    if not paths:
        raise click.UsageError("--keep needs the files whose genre is right")
    files = [os.path.abspath(path) for path in paths]
    folder = next(filter(os.path.isdir, files), None)
    if folder is not None:
        raise click.UsageError(f"--keep takes files, and {display_path(folder)} is a folder")
    with open_session(state.settings(), files=1) as session:
        return run_changes(
            state, session, "audit", lambda run: keep_genres(session, run, files), output_format=output_format
        )
