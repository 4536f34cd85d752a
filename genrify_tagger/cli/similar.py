"""`genrify-tag similar`: the songs of the library that sound most like one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option, write_json, write_line
from genrify_tagger.files import real_path

if TYPE_CHECKING:
    from genrify_tagger.pipeline import Neighbour


@click.command()
@click.argument("file", type=click.Path())
@click.option("--count", "-n", type=click.IntRange(1, 1000), default=20, show_default=True, help="Number of songs.")
@click.option("--playlist", type=click.Path(dir_okay=False), metavar="FILE.m3u8", help="Also write a playlist.")
@model_option
@format_option("text", "jsonl")
@click.pass_obj
@common_options
def command(state: CliContext, file: str, count: int, playlist: str | None, output_format: str) -> None:
    """List the songs that sound most like one.

    Songs are compared by the network's embedding of their audio, not by tags or names; 1.00 means the same sound. FILE
    need not be in the library; the results are songs that `scan` has analysed.

    \b
    Examples:
      genrify-tag similar song.mp3
      genrify-tag similar song.mp3 -n 50 --playlist ~/Music/like-song.m3u8
      genrify-tag similar song.mp3 --format jsonl
    """  # noqa: D301
    from genrify_tagger.errors import GenrifyError
    from genrify_tagger.pipeline import EmbeddingIndex, inspect_one_off, open_session

    if playlist is not None and not playlist.lower().endswith((".m3u8", ".m3u")):
        raise click.UsageError("the name of the playlist must end in .m3u8")
    os.stat(file)  # report a mistyped name before anything else
    with open_session(state.settings(), files=1, create=False) as session:
        song = inspect_one_off(session, os.path.abspath(file))
        wanted = song.analysis.embedding
        model = session.sidecar.id
        with search_progress(state) as on_progress:
            index = EmbeddingIndex(session, on_progress)
            found = index.nearest(wanted, count=count, but_not=song.identity.audio_key)
    if not found:
        raise GenrifyError(
            f"the library has no other song analysed with the model {model}", hint="run genrify-tag scan ~/Music first"
        )
    if playlist is not None:
        _write_playlist(os.path.abspath(playlist), found)
    for neighbour in found:
        _print_neighbour(neighbour, output_format)
    if playlist is not None and not state.quiet:
        state.console.print(f"Wrote the playlist {playlist}")


@contextmanager
def search_progress(state: CliContext) -> Iterator[Callable[[int, int], None]]:
    """Show that a search is running; yield what `EmbeddingIndex` calls to report its progress."""
    with state.console.status("searching") as status:

        def tell(done: int, total: int) -> None:
            status.update(f"reading the sound of {total:,} songs for this and later searches: {done:,}")

        yield tell


def _print_neighbour(neighbour: Neighbour, output_format: str) -> None:
    from genrify_tagger.files import display_path, json_path

    record = neighbour.record
    if output_format == "jsonl":
        fields = {"similarity": round(neighbour.similarity, 4), "genres": list(record.after)}
        write_json({"schema": 1, **json_path(record.path), **fields, "duration": record.duration})
        return
    write_line(
        f"{neighbour.similarity:.2f}  {', '.join(record.after) or '(no genre)':<12}  {display_path(record.path)}"
    )


def _write_playlist(target: str, found: Sequence[Neighbour]) -> None:
    from genrify_tagger.cli.playlist import playlist_song
    from genrify_tagger.playlist_files import m3u_text, write_playlist

    songs = (playlist_song(neighbour.record) for neighbour in found)
    text, _ = m3u_text(songs, os.path.dirname(real_path(target)))
    write_playlist(target, text)
