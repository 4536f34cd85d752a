"""`genrify-tag plot`: pictures of a song."""

from __future__ import annotations

from pathlib import Path

import click

from genrify_tagger.cli.context import CliContext, common_options
from genrify_tagger.cli.output import write_line
from genrify_tagger.errors import ConfigError
from genrify_tagger.files import display_path

PANELS = ("waveform", "spectrogram", "mel-spectrogram", "mfcc", "chroma", "timeline")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False), metavar="FILE", help="A .png or .svg; else FILE.png here."
)
@click.option("--panels", metavar="NAMES", help=f"Which ones, separated by commas: {', '.join(PANELS)}.")
@click.option("--separate", is_flag=True, help="One picture for each panel.")
@click.option(
    "--model", metavar="PATH", help="A model's sidecar or folder, if not the one that comes with the program."
)
@click.option("--vocabulary", default="gtzan", show_default=True, help="Which of the model's lists of genres to show.")
@click.pass_obj
@common_options
def command(
    state: CliContext,
    file: str,
    output: str | None,
    panels: str | None,
    separate: bool,
    model: str | None,
    vocabulary: str,
) -> None:
    """Draw a song.

    Waveform, spectrogram, mel-spectrogram, MFCC, chroma, and a timeline of the genres the model hears in every
    3 seconds. All are grey, so they can be printed.

    \b
    Examples:
      genrify-tag plot song.mp3                                    all of it into song.png
      genrify-tag plot song.mp3 --panels waveform,timeline -o a.svg
      genrify-tag plot song.mp3 --separate                         song-waveform.png, song-spectrogram.png, ...
    """  # noqa: D301
    from genrify_tagger.training.extra import require

    require("librosa", "matplotlib")
    from genrify_tagger.training.hearing import sidecar_of
    from genrify_tagger.training.plots import read_song, save
    from genrify_tagger.training.seed_features import load_librosa

    chosen = _chosen(panels)
    target = Path(output or f"{Path(file).stem}.png")
    title = display_path(Path(file).name)
    song = read_song(file, title=title, sidecar_path=sidecar_of(model) if model else None, vocabulary=vocabulary)
    load_librosa()
    for path in save(song, chosen, target, separate=separate):
        write_line(str(path))


def _chosen(panels: str | None) -> list[str]:
    names = [name.strip() for name in panels.split(",")] if panels else list(PANELS)
    for name in names:
        if name not in PANELS:
            raise ConfigError(f"no panel {name!r}", hint=f"the panels are {', '.join(PANELS)}")
    return names
