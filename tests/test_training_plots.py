"""Plots: written, in the right format, grey, and not empty."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.errors import ConfigError
from genrify_tagger.training.song_plots import PANELS, SongAudio, draw_panels, read_song, save_figure, save_song_plots
from tests import media
from tests.workbench import need_installed, need_library

need_installed("librosa", "matplotlib")

from matplotlib.figure import Figure  # noqa: E402

from genrify_tagger.cli import plot as command  # noqa: E402 - with the libraries, as the command is used
from genrify_tagger.training import report_plots  # noqa: E402
from genrify_tagger.training.evaluation import Predictions, TrackPrediction, evaluate_predictions  # noqa: E402
from genrify_tagger.training.report_plots import plot_history, plot_report  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def _librosa() -> None:
    need_library("librosa")


@pytest.fixture(scope="module")
def song() -> SongAudio:
    return read_song(str(media.JAZZ), title="Vibe Ace")


def pixels(path: Path) -> np.ndarray:
    import matplotlib.image

    return matplotlib.image.imread(path)


def test_the_command_offers_every_panel():
    assert tuple(PANELS) == command.PANELS


def test_all_panels_in_one_picture(song, tmp_path):
    (path,) = save_song_plots(song, list(PANELS), tmp_path / "all.png")
    image = pixels(path)
    assert image.shape[0] > 1000 and image.shape[1] > 1000
    red, green, blue = (image[:, :, channel].astype(float) for channel in range(3))
    assert max(np.abs(red - green).max(), np.abs(green - blue).max()) < 0.02  # grey
    assert image[:, :, 0].std() > 0.1


def test_one_picture_for_each_panel(song, tmp_path):
    paths = save_song_plots(song, ["waveform", "timeline"], tmp_path / "song.svg", separate=True)
    assert [path.name for path in paths] == ["song-waveform.svg", "song-timeline.svg"]
    for path in paths:
        assert ET.parse(path).getroot().tag.endswith("svg")


def test_the_timeline_names_the_genres_and_marks_the_likeliest(song):
    figure = draw_panels(song, ["timeline"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(song.labels)
    marks = axes.collections[-1].get_offsets()
    assert len(marks) == len(song.activations) == 5
    assert [round(float(at)) for _, at in marks] == song.activations.argmax(axis=1).tolist()
    assert song.labels[int(np.median(np.asarray(marks)[:, 1]))] == "Jazz"


def test_a_long_song_makes_no_larger_picture():
    song = SongAudio("hour", np.zeros(22050 * 600, np.float32))
    assert len(song.y) / song.hop_length < 2000


def test_a_title_is_shown_as_it_is_and_whole(song, tmp_path):
    title = r"A$AP - bad $\frac{ money$ " + "and a long name " * 12
    figure = draw_panels(replace(song, title=title), ["waveform"])
    save_song_plots(replace(song, title=title), ["waveform"], tmp_path / "song.png")
    shown = figure.get_suptitle()
    assert shown.replace("\n", " ") == title.strip()
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert box.x0 > 0 and box.x1 < figure.bbox.width


def test_other_formats_are_refused(song, tmp_path):
    with pytest.raises(ConfigError, match="png or svg"):
        save_song_plots(song, ["waveform"], tmp_path / "song.gif")


def test_a_folder_that_is_not_there(song, tmp_path):
    with pytest.raises(ConfigError, match="cannot be written"):
        save_song_plots(song, ["waveform"], tmp_path / "nowhere/song.png")


def test_pictures_of_an_evaluation(tmp_path, monkeypatch):
    from genrify_tagger.training.datasets import Clip

    rng = np.random.default_rng(0)
    labels = ("jazz", "pop", "rock")
    tracks = []
    for number in range(60):
        scores = rng.dirichlet([0.5] * 3)
        clip = Clip("a", f"clip{number}", (labels[number % 3],), f"{number}")
        tracks.append(TrackPrediction(clip, scores[np.newaxis].astype(np.float32), scores, float(scores.max())))
    report = evaluate_predictions(Predictions("model", "music", "", labels, tuple(tracks)))
    drawn: list[Figure] = []
    monkeypatch.setattr(
        report_plots, "save_figure", lambda figure, path: (drawn.append(figure), save_figure(figure, path))[1]
    )
    pictures = plot_report(report, tmp_path / "out")
    assert {path.name for path in pictures} == {
        "confusion.png",
        "confusion-groups.png",
        "reliability.png",
        "coverage.png",
    }
    assert all(pixels(path).std() > 0.02 for path in pictures)
    titles = [figure.get_suptitle().replace("\n", " ") for figure in drawn]
    assert f"model on music: {report.grouped.micro}, pop, rock and metal as one" in titles


def test_the_picture_of_a_run(tmp_path):
    need_library("tensorflow")
    from genrify_tagger.training.training_loop import EpochResult

    history = [EpochResult(2.0 / n, 1.5 / n + 0.02 * n, 0.1 * n) for n in range(1, 8)]
    assert pixels(plot_history(history, tmp_path / "history.png")).std() > 0.02
