"""`genrify-tag playlist`: a playlist of songs by genre or similarity."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.similar import search_progress
from genrify_tagger.files import counted, display_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from genrify_tagger.config import Settings
    from genrify_tagger.store import FileRecord

log = logging.getLogger(__name__)

_SIMILAR = 50  # songs, unless --limit says otherwise
_PLAYED_NOW = ("similar", "per_artist", "min_confidence", "seed", "paths")  # options that a smart playlist cannot hold


@click.command()
@click.option("--genre", "-g", "genres", multiple=True, metavar="NAME", help="Songs with this genre (repeatable).")
@click.option("--similar", "-s", multiple=True, metavar="SONG", help="Songs that sound like this file (repeatable).")
@click.option("--out", "-o", default="-", metavar="FILE", help="File to write (.m3u8, .m3u, .nsp); - prints it.")
@click.option(
    "--limit", "-n", type=click.IntRange(1), metavar="N", help="Number of songs at most; 50 for similar songs."
)
@click.option("--per-artist", type=click.IntRange(1), metavar="N", help="Number of songs of one artist at most.")
@click.option(
    "--min-confidence",
    type=click.FloatRange(0, 1),
    metavar="0..1",
    help="Leave out songs whose genre this program wrote with less confidence.",
)
@click.option("--shuffle", is_flag=True, help="In random order.")
@click.option("--seed", type=int, metavar="N", help="Makes the random order repeatable.")
@click.option(
    "--relative/--absolute",
    default=None,
    help="How songs are named; by default relative to the playlist if they are below its folder, else absolute.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is not a playlist.")
@model_option
@click.pass_obj
@common_options
def command(state: CliContext, /, genres: tuple[str, ...], out: str, *, force: bool, **options: Any) -> None:
    """Make a playlist by genre or similarity.

    Takes the songs that `scan` has seen and that exist, each once. A genre includes the narrower ones in the genre tree
    (`genrify-tag genres` shows it) and other spellings. With both, `--genre` and `--similar`, the similar songs are of
    that genre; songs similar to several are those nearest to all of them together.

    The name of the file says the kind: .m3u8 for any player, or .nsp for a smart playlist of Navidrome, which follows
    the library by itself.

    \b
    Examples:
      genrify-tag playlist --genre Jazz --out ~/Music/jazz.m3u8
      genrify-tag playlist -g Rock -g Metal --shuffle --limit 100 --per-artist 3 -o party.m3u8
      genrify-tag playlist --similar song.mp3 --similar other.flac -o like.m3u8
      genrify-tag playlist --genre Jazz --out ~/Music/jazz.nsp
    """  # noqa: D301
    from genrify_tagger.playlist_files import M3U_SUFFIXES, SMART_SUFFIX, write_playlist

    relative = options.pop("relative")
    options["paths"] = None if relative is None else "relative" if relative else "absolute"
    if not genres and not options["similar"]:
        raise click.UsageError("give a --genre or a song to which others are --similar")
    if out != "-" and not out.lower().endswith((*M3U_SUFFIXES, SMART_SUFFIX)):
        raise click.UsageError("the name of the playlist must end in .m3u8, .m3u or .nsp")
    for song in options["similar"]:
        os.stat(song)  # report a mistyped name before anything else
    if out.lower().endswith(SMART_SUFFIX):
        text, what = _smart_playlist(state.settings(), genres, options), "a smart playlist"
    else:
        text, what = _playlist(state, genres, out, options)
    if out == "-":
        click.echo(text.encode(), nl=False)
        return
    write_playlist(out, text, force=force)
    if not state.quiet:
        state.console.print(f"Wrote {what} to {display_path(out)}.")


def _smart_playlist(settings: Settings, genres: Sequence[str], options: dict[str, Any]) -> str:
    from genrify_tagger.pipeline import open_session
    from genrify_tagger.pipeline.playlist_songs import names_of_genre
    from genrify_tagger.playlist_files import smart_playlist_text

    given = [name for name in _PLAYED_NOW if options[name] not in (None, ())]
    if given:
        name = {"paths": "--relative or --absolute"}.get(given[0], f"--{given[0].replace('_', '-')}")
        raise click.UsageError(f"a smart playlist of Navidrome knows no {name}; write an .m3u8")
    with open_session(settings, files=1, create=False) as session:
        names = dict.fromkeys(name for genre in genres for name in names_of_genre(session, genre))
    return smart_playlist_text(list(names), shuffle=options["shuffle"], limit=options["limit"])


def _playlist(state: CliContext, genres: Sequence[str], out: str, options: dict[str, Any]) -> tuple[str, str]:
    """Return the playlist, and what it is in words."""
    from genrify_tagger.errors import GenrifyError
    from genrify_tagger.files import real_path
    from genrify_tagger.pipeline import open_session
    from genrify_tagger.pipeline.playlist_songs import SongChoice, choose_songs
    from genrify_tagger.playlist_files import m3u_text

    choice = SongChoice(
        genres=genres,
        seeds=options["similar"],
        limit=options["limit"] or (_SIMILAR if options["similar"] else None),
        per_artist=options["per_artist"],
        min_confidence=options["min_confidence"] or 0.0,
        shuffle=options["shuffle"],
        seed=options["seed"],
    )
    with open_session(state.settings(), files=1, create=False) as session, search_progress(state) as on_progress:
        songs = choose_songs(session, choice, on_progress)
    if not songs:
        raise GenrifyError("no song fits", hint="the songs are gone, or the options leave none")
    if out == "-":
        folder = os.getcwd() if options["paths"] == "relative" else ""
    else:
        folder = os.path.dirname(real_path(os.path.abspath(out)))
    text, left_out = m3u_text(map(playlist_song, songs), folder, options["paths"] or "auto")
    if left_out:
        names = counted(len(left_out), "song has a name", "songs have names")
        log.warning("%s that a playlist cannot hold, such as %s", names, display_path(left_out[0]))
    return text, counted(len(songs) - len(left_out), "song")


def playlist_song(record: FileRecord) -> Any:
    """Return what a playlist says of a song."""
    from genrify_tagger.playlist_files import PlaylistSong

    return PlaylistSong(record.path, record.duration, record.artist or "", record.title or "")
