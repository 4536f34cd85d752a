"""`genrify-tag learn`: learn the user's own genres from the songs of the library that have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import format_option, table, write_json, write_line
from genrify_tagger.cli.scanned_paths import scanned_paths
from genrify_tagger.files import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from genrify_tagger.learn import Learned


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(), metavar="[PATH]...")
@click.option("--name", metavar="NAME", help="Name of the vocabulary (default mine).")
@click.option(
    "--precision", type=float, metavar="0.5..0.999", help="Share of written genres that should be right (default 0.95)."
)
@model_option
@format_option("text", "json")
@click.pass_obj
@common_options
def command(
    state: CliContext, paths: tuple[str, ...], name: str | None, precision: float | None, output_format: str
) -> None:
    """Learn your own genres from songs that have one.

    Learns from the songs that have a genre in the files and that were scanned; what you set by hand counts most, what
    this program wrote does not count. From then on, `scan`, `watch` and beets decide by these genres: by the sound of a
    song, and by the genres of the other songs of its artist and album. A vocabulary that is no better than the shipped
    one on songs of artists that were left out while learning is saved, but not used. No file is changed.

    PATHs are files and folders to learn from; without any, the whole library. At least thirty songs are needed, and two
    genres with eight songs and three artists each.

    \b
    Examples:
      genrify-tag learn
      genrify-tag learn ~/Music/Sorted --name sorted
      genrify-tag learn --precision 0.9
      genrify-tag learn --format json
    """  # noqa: D301
    from genrify_tagger.learn import learn_vocabulary, save_vocabulary
    from genrify_tagger.pipeline import open_session

    settings = state.settings({"tagging.precision": precision, "learn.name": name})
    vocabulary = settings.learn.name
    with open_session(settings, files=1, create=False) as session:
        if vocabulary in session.sidecar.vocabularies:
            raise click.UsageError(f"{vocabulary} is a vocabulary of the model; choose another name")
        places = scanned_paths(session.store, paths)
        with state.console.status("") as status:
            learned = learn_vocabulary(session, vocabulary, places, on_step=status.update)
        save_vocabulary(session, vocabulary, learned)
        in_use = session.store.vocabulary_in_use()
    if output_format == "json":
        write_json(learned.report)
        return
    for line in _lines(learned):
        write_line(line)
    if not learned.report["in_use"]:
        write_line(f"Vocabulary {in_use.name} stays in use." if in_use else "The shipped vocabulary decides.")
    if not state.quiet:
        state.console.print(_next_step(learned))


def _next_step(learned: Learned) -> str:
    if learned.report["in_use"]:
        return "To tag songs with these genres: genrify-tag scan ~/Music"
    lower = ", or try a lower --precision" if learned.vocabulary is not None else ""
    return f"Learn again when more songs have a genre{lower}."


def _lines(learned: Learned) -> Iterator[str]:
    report = learned.report
    if report["genres"]:
        yield from genre_table(report["genres"])
        yield ""
    if learned.vocabulary is not None and learned.vocabulary.folded:
        wider = ", ".join(f"{rare} as {genre}" for rare, genre in sorted(learned.vocabulary.folded.items()))
        yield f"Rare genres, counted as a wider one: {wider}"
    for genre, reason in sorted(learned.left_out.items()):
        yield f"Left out: {genre} ({reason})"
    if learned.outdated:
        songs = counted(learned.outdated, "song was", "songs were")
        yield f"{songs} analysed otherwise (version, model, segments) and left out: genrify-tag scan --reanalyse"
    yield learned.summary


def genre_table(genres: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table of genres with their songs, artists, precision and coverage."""
    headers = ["Genre", "Songs", "Artists", "Right", "Written"]
    rows = [
        [genre["name"], *(f"{genre[key]:,}" for key in ("songs", "artists"))]
        + [_percent(genre[key]) for key in ("precision", "coverage")]
        for genre in genres
    ]
    yield from table(headers, rows, right=set(headers[1:]))
    yield "Right: the share of songs given this genre that have it. Written: the share of its songs that get a genre."
    yield "Both were measured on songs of artists that were left out while learning."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
