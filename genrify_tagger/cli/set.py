"""`genrify-tag set`: a human's word."""

from __future__ import annotations

import os

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import format_option


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="FILE... GENRE...")
@click.option("--none", "remove", is_flag=True, help="Remove the genre; then name files only.")
@click.option("--field", metavar="NAME", help="Tag field to write, if not the genre field.")
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, words: tuple[str, ...], remove: bool, field: str | None, output_format: str) -> int:
    """Write genres of your own choice.

    The files come first, then one genre or several. What you set is journalled, can be undone, and is never overruled
    by a scan. Any genre may be named, not only those the model knows.

    \b
    Examples:
      genrify-tag set song.mp3 Reggae
      genrify-tag set 01.flac 02.flac 'Drum and Bass' Electronic
      genrify-tag set --none interlude.mp3
    """  # noqa: D301
    from genrify_tagger.cli.change_run import carry_out
    from genrify_tagger.pipeline import open_session, set_genres

    files, genres = _sort(words, remove=remove)
    paths = [os.path.abspath(file) for file in files]
    with open_session(state.settings({"tagging.field": field}), files=1) as session:
        return carry_out(
            state,
            session,
            "set",
            lambda run: set_genres(session, run, paths, genres),
            output_format=output_format,
        )


def _sort(words: tuple[str, ...], *, remove: bool) -> tuple[list[str], list[str]]:
    """Tell files from genres: the files come first, and exist."""
    from genrify_tagger.pipeline import is_audio

    files: list[str] = []
    for word in words:
        if not os.path.lexists(word):
            break
        files.append(word)
    genres = list(words[len(files) :])
    for genre in genres:
        if os.sep in genre or is_audio(genre):
            raise click.UsageError(f"no such file: '{genre}' (files come first, genres after them)")
    if not files:
        raise click.UsageError(f"no such file: '{words[0]}'")
    if remove and genres:
        raise click.UsageError(f"--none removes the genre, so '{genres[0]}' should be a file, but there is none")
    if not remove and not genres:
        raise click.UsageError("no genre given (--none removes the genre)")
    return files, genres
