"""`genrify-tag plot`: waveform, spectrograms, features and genre timeline of a song as images."""

from __future__ import annotations

from pathlib import Path

import click

from genrify_tagger.cli.context import CliContext, common_options, model_option
from genrify_tagger.cli.output import write_line
from genrify_tagger.errors import ConfigError
from genrify_tagger.files import display_path

PANELS = ("waveform", "spectrogram", "mel-spectrogram", "mfcc", "chroma", "timeline")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="A .png or .svg file; default: FILE.png in this folder.",
)
@click.option("--panels", metavar="NAMES", help=f"Panels to draw, separated by commas: {', '.join(PANELS)}.")
@click.option("--separate", is_flag=True, help="Save one image for each panel.")
@model_option
@click.option("--vocabulary", metavar="NAME", help="Vocabulary of the model to show; by default its first.")
@click.pass_obj
@common_options
def command(
    state: CliContext,
    file: str,
    output: str | None,
    panels: str | None,
    separate: bool,
    vocabulary: str | None,
) -> None:
    """Plot a song.

    Waveform, spectrogram, mel spectrogram, MFCC, chroma, and a timeline of the genre scores of every 3 seconds, all in
    greyscale for print.

    \b
    Examples:
      genrify-tag plot song.mp3                                    all panels in song.png
      genrify-tag plot song.mp3 --panels waveform,timeline -o a.svg
      genrify-tag plot song.mp3 --separate                         song-waveform.png, song-spectrogram.png, ...
    """  # noqa: D301
    from genrify_tagger.training.dependencies import require_libraries

    require_libraries("librosa", "matplotlib")
    from genrify_tagger.config import current_value
    from genrify_tagger.training.reference_study_features import load_librosa
    from genrify_tagger.training.song_plots import read_song, save_song_plots

    chosen = _chosen(panels)
    target = Path(output or f"{Path(file).stem}.png")
    title = display_path(Path(file).name)
    model = state.settings().analysis.model or None
    wanted = current_value("analysis.vocabulary", vocabulary)
    song = read_song(file, title=title, sidecar_path=model, vocabulary=wanted)
    load_librosa()
    for path in save_song_plots(song, chosen, target, separate=separate):
        write_line(str(path))


def _chosen(panels: str | None) -> list[str]:
    names = [name.strip() for name in panels.split(",")] if panels else list(PANELS)
    for name in names:
        if name not in PANELS:
            raise ConfigError(f"no such panel: {name!r}", hint=f"the panels are {', '.join(PANELS)}")
    return names
