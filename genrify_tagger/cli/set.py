"""`genrify-tag set`: write genres that the user chose."""

from __future__ import annotations

import os

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option
from genrify_tagger.cli.telling_players import no_notify_option


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="FILE... GENRE...")
@click.option("--none", "remove", is_flag=True, help="Remove the genre; give files only.")
@click.option("--field", metavar="NAME", help="Tag field to write instead of the genre field.")
@click.option(
    "--incomplete", is_flag=True, default=None, help="Also write to incomplete files, such as half of a download."
)
@no_notify_option
@model_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(
    state: CliContext,
    /,
    arguments: tuple[str, ...],
    remove: bool,
    notify: bool,
    output_format: str,
    **options: object,
) -> int:
    """Write genres that you choose.

    Give the files first, then one or more genres. Any genre will do, not only those that the model knows. The change is
    journalled and can be undone. No scan ever replaces a genre that you set.

    \b
    Examples:
      genrify-tag set song.mp3 Reggae
      genrify-tag set Album/*.mp3 'Drum and Bass'
      genrify-tag set 01.flac 02.flac Blues Rock           two genres
      genrify-tag set --none interlude.mp3
    """  # noqa: D301
    from genrify_tagger.cli.change_run import run_changes
    from genrify_tagger.pipeline import open_session, set_genres

    files, genres = _sort(arguments, remove=remove)
    paths = [os.path.abspath(file) for file in files]
    overrides = {f"tagging.{key}": value for key, value in options.items()}
    with open_session(state.settings(overrides), files=1) as session:
        return run_changes(
            state,
            session,
            "set",
            lambda run: set_genres(session, run, paths, genres),
            output_format=output_format,
            notify=notify,
        )


def _sort(arguments: tuple[str, ...], *, remove: bool) -> tuple[list[str], list[str]]:
    """Split the arguments into files, which come first and exist, and genres."""
    from genrify_tagger.library import is_audio

    if os.path.isdir(arguments[0]):
        raise click.UsageError(f"'{arguments[0]}' is a folder; give the files in it")
    files: list[str] = []
    for argument in arguments:
        if not os.path.lexists(argument) or os.path.isdir(argument):  # a folder may have the name of a genre
            break
        files.append(argument)
    genres = list(arguments[len(files) :])
    for genre in genres:
        if os.sep in genre or is_audio(genre):
            raise click.UsageError(f"no such file: '{genre}' (files come first, genres after them)")
    if not files:
        raise click.UsageError(f"no such file: '{arguments[0]}'")
    if remove and genres:
        raise click.UsageError(f"no such file: '{genres[0]}' (--none takes files only)")
    if not remove and not genres:
        raise click.UsageError("no genre given (to remove the genre, use --none)")
    return files, genres
