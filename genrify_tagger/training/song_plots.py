"""Plots of one song: waveform, spectrogram, mel-spectrogram, MFCC, chroma, and the model's scores over time.

All can be read without colour: grey scales, markers and words.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genrify_tagger.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SAMPLE_RATE = 22050
N_FFT = 2048
COLUMNS = 1500  # about the width of a picture in pixels
GREYS = "gray_r"
WIDTH, PANEL_HEIGHT = 11.0, 2.3  # inches
TITLE_SIZE, TITLE_CHARACTERS = 10, 12  # points, and characters of that size to an inch
FORMATS = ("png", "svg")

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SongAudio:
    """The data of the plots.

    Attributes
    ----------
    title : str
    y : ndarray, shape (samples,)
        At 22,050 Hz.
    labels : tuple of str
        Written names of the model's labels; empty without a model.
    activations : ndarray, shape (n_segments, n_labels)
    intervals : ndarray, shape (n_segments, 2)
        Seconds.
    """

    title: str
    y: FloatArray
    labels: tuple[str, ...] = ()
    activations: FloatArray | None = None
    intervals: FloatArray | None = None

    @property
    def hop_length(self) -> int:
        """Samples between two columns of a spectrogram."""
        return max(512, 1 << int(np.ceil(np.log2(max(1, len(self.y) / COLUMNS)))))

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.y) / SAMPLE_RATE


def read_song(path: str, *, title: str, sidecar_path: str | None = None, vocabulary: str | None = None) -> SongAudio:
    """Decode a song and analyse all of its segments.

    Raises
    ------
    DecodeError
        If it cannot be decoded.
    """
    from genrify_tagger.audio import SEGMENT_SECONDS, decode_all
    from genrify_tagger.classifier import Classifier
    from genrify_tagger.spectrogram import log_mel
    from genrify_tagger.training.decoded_cache import cut_segments
    from genrify_tagger.training.inference import choose_vocabulary
    from genrify_tagger.training.reference_study_features import decode_at_rate

    y = decode_at_rate(path, SAMPLE_RATE)
    segments = cut_segments(decode_all(path).astype(np.float16))
    classifier = Classifier(sidecar_path)
    chosen = choose_vocabulary(classifier.sidecar, vocabulary)
    activations = classifier.predict(log_mel(segments))[chosen.output]
    starts = np.arange(len(segments), dtype=np.float32) * SEGMENT_SECONDS
    return SongAudio(
        title=title,
        y=y,
        # Of a tree's labels the network scores the first ones in single segments.
        labels=tuple(chosen.names[label] for label in chosen.labels[: activations.shape[1]]),
        activations=activations,
        intervals=np.stack([starts, starts + SEGMENT_SECONDS], axis=1),
    )


def draw_panels(song: SongAudio, panels: Sequence[str]) -> Figure:
    """Draw panels below one another on a common time axis."""
    heights = [_height(song, panel) for panel in panels]
    figure = new_figure(WIDTH, sum(heights) + 0.5, song.title)
    grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})
    for panel, axes in zip(panels, grid[:, 0], strict=True):
        PANELS[panel](song, axes)
        axes.set_title(panel.replace("-", " "), loc="left", fontsize=9)
        axes.set_xlim(0, song.duration)
    grid[-1, 0].set_xlabel("time (s)")
    return figure


def new_figure(width: float, height: float, title: str = "") -> Figure:
    """Return an empty figure (inches); a long title is broken into lines, and a "$" in it stays one."""
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False
    figure = Figure(figsize=(width, height), layout="constrained")
    lines = [textwrap.fill(line, int(width * TITLE_CHARACTERS)) for line in title.splitlines()]
    figure.suptitle("\n".join(lines), fontsize=TITLE_SIZE)
    return figure


def save_song_plots(song: SongAudio, panels: Sequence[str], path: Path, *, separate: bool = False) -> list[Path]:
    """Write one picture of all panels, or one for each panel (named after it).

    Raises
    ------
    ConfigError
        If the suffix is neither `.png` nor `.svg`, or the file cannot be written.
    """
    if path.suffix.lower().lstrip(".") not in FORMATS:
        raise ConfigError(f"plots are written as {' or '.join(FORMATS)}", path=str(path))
    if not separate:
        return [save_figure(draw_panels(song, panels), path)]
    return [save_figure(draw_panels(song, [panel]), path.with_stem(f"{path.stem}-{panel}")) for panel in panels]


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format of its suffix."""
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=str(path)) from error
    return path


def _height(song: SongAudio, panel: str) -> float:
    return max(PANEL_HEIGHT, 0.26 * len(song.labels) + 0.4) if panel == "timeline" else PANEL_HEIGHT


def _waveform(song: SongAudio, axes: Axes) -> None:
    """Draw the range of the samples in every column, so that no peak is lost."""
    size = max(1, len(song.y) // COLUMNS)
    blocks = song.y[: len(song.y) // size * size].reshape(-1, size)
    times = (np.arange(len(blocks)) + 0.5) * size / SAMPLE_RATE
    axes.fill_between(times, blocks.min(axis=1), blocks.max(axis=1), color="0.25", linewidth=0)
    axes.axhline(0, color="white", linewidth=0.5)
    axes.set_ylabel("amplitude")


def _spectrogram(song: SongAudio, axes: Axes) -> None:
    import librosa

    magnitude = np.abs(librosa.stft(song.y, n_fft=N_FFT, hop_length=song.hop_length))
    _image(song, axes, librosa.amplitude_to_db(magnitude, ref=np.max), (0, SAMPLE_RATE / 2000), "dB")
    axes.set_ylabel("frequency (kHz)")


def _mel(song: SongAudio, axes: Axes) -> None:
    import librosa

    mel = librosa.feature.melspectrogram(y=song.y, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=song.hop_length)
    _image(song, axes, librosa.power_to_db(mel, ref=np.max), (0, len(mel)), "dB")
    shown = np.array([0, 256, 512, 1024, 2048, 4096, 8192])
    edges = librosa.mel_frequencies(n_mels=len(mel), fmax=SAMPLE_RATE / 2)
    axes.set_yticks(np.interp(shown, edges, np.arange(len(mel))), [str(hertz) for hertz in shown])
    axes.set_ylabel("mel band (Hz)")


def _mfcc(song: SongAudio, axes: Axes) -> None:
    import librosa

    mfcc = librosa.feature.mfcc(y=song.y, sr=SAMPLE_RATE, n_mfcc=20, hop_length=song.hop_length)
    # The first coefficient is loudness and much larger than the others, so each is standardised.
    scaled = (mfcc - mfcc.mean(axis=1, keepdims=True)) / (mfcc.std(axis=1, keepdims=True) + 1e-9)
    _image(song, axes, np.clip(scaled, -3, 3), (0.5, 20.5), "deviations")
    axes.set_ylabel("coefficient")


def _chroma(song: SongAudio, axes: Axes) -> None:
    import librosa

    power = np.abs(librosa.stft(song.y, n_fft=N_FFT, hop_length=song.hop_length)) ** 2
    chroma = librosa.feature.chroma_stft(S=power, sr=SAMPLE_RATE, tuning=0.0)
    _image(song, axes, chroma, (-0.5, 11.5), "share")
    axes.set_yticks(range(12), ["C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B"], fontsize=7)
    axes.set_ylabel("pitch class")


def _timeline(song: SongAudio, axes: Axes) -> None:
    """Draw a cell for every segment and label, darker for higher scores, with a ring on the highest per segment."""
    if song.activations is None or song.intervals is None:
        raise ConfigError("the timeline needs a model")
    edges = np.append(song.intervals[:, 0], song.intervals[-1, 1])
    rows = np.arange(len(song.labels) + 1) - 0.5
    image = axes.pcolormesh(edges, rows, song.activations.T, cmap=GREYS, vmin=0, vmax=1)
    _bar(axes, image, "score")
    best = song.activations.argmax(axis=1)
    shades = song.activations.max(axis=1)
    axes.scatter(
        song.intervals.mean(axis=1),
        best,
        s=28,
        facecolors="none",
        edgecolors=["white" if shade > 0.5 else "black" for shade in shades],
    )
    axes.set_yticks(range(len(song.labels)), list(song.labels), fontsize=8)
    axes.set_ylim(len(song.labels) - 0.5, -0.5)


def _image(song: SongAudio, axes: Axes, values: FloatArray, span: tuple[float, float], unit: str) -> None:
    extent = (0.0, song.duration, *span)
    low = values.max() - 80 if unit == "dB" else None
    image = axes.imshow(values, origin="lower", aspect="auto", cmap=GREYS, extent=extent, vmin=low)
    _bar(axes, image, unit)


def _bar(axes: Axes, image: Any, unit: str) -> None:
    assert axes.figure is not None
    axes.figure.colorbar(image, ax=axes, label=unit, pad=0.01, aspect=12)


PANELS: Mapping[str, Callable[[SongAudio, Any], None]] = {
    "waveform": _waveform,
    "spectrogram": _spectrogram,
    "mel-spectrogram": _mel,
    "mfcc": _mfcc,
    "chroma": _chroma,
    "timeline": _timeline,
}
