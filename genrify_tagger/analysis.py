"""Results of analysing one song: plain arrays, computed in a worker, cached in the store, used by `decision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]

SILENCE = -60.0  # dBFS


@dataclass(frozen=True, eq=False)
class Analysis:
    """The model's outputs for one song.

    Attributes
    ----------
    duration : float
        Seconds of audio.
    intervals : ndarray, shape (n_segments, 2)
        Start and end of each segment, seconds.
    levels : ndarray, shape (n_segments,)
        RMS level of each segment, dB relative to full scale.
    outputs : mapping of str to ndarray, shape (n_segments, n_labels)
        Activations by name of the network's output.
    tags : ndarray, shape (n_tags,)
        Mean tag probabilities of the audible segments (of all, if none is).
    embedding : ndarray, shape (n_dimensions,)
        Mean embedding of the same segments.
    spread : ndarray, shape (n_dimensions,), or None
        Standard deviation of the embedding over the same segments, 0 for a single one. None in analyses stored by a
        version that did not compute it.
    """

    duration: float
    intervals: FloatArray
    levels: FloatArray
    outputs: Mapping[str, FloatArray]
    tags: FloatArray
    embedding: FloatArray
    spread: FloatArray | None = None


@dataclass(frozen=True)
class Shortfall:
    """How much of an incomplete file is there.

    Attributes
    ----------
    present, stated : float or None
        What is there, and what the file's headers say; None if only the end is known to be missing.
    unit : str
        "s", or "MB" if seconds are unknown.
    """

    present: float | None
    stated: float | None
    unit: str = "s"

    def __str__(self) -> str:
        """Return the reason shown to the user."""
        if self.present is None or self.stated is None or self.stated - self.present < 0.05:
            return "incomplete: the end of the file is missing"
        return f"incomplete: {self.present:.1f} of {self.stated:.1f} {self.unit} are there"


@dataclass(frozen=True)
class Sound:
    """Properties of the audio in a file, known without decoding it.

    Attributes
    ----------
    key : str
        Audio key: hexadecimal BLAKE2b over codec parameters and packets, independent of tags.
    duration : float
        Seconds of audio, counted in packets, not from the header.
    container, codec : str
        FFmpeg's short names.
    sample_rate : int
        Hertz.
    channels : int
        Number of channels.
    shortfall : Shortfall or None
        What is missing of the file by its own account.
    """

    key: str
    duration: float
    container: str
    codec: str
    sample_rate: int
    channels: int
    shortfall: Shortfall | None = None


@dataclass(frozen=True, eq=False)
class Picture:
    """Waveform and spectrogram of a whole song, in columns of equal duration.

    Attributes
    ----------
    duration : float
        Seconds.
    peaks, levels : ndarray, shape (n_columns,), uint8
        Largest sample and RMS level of each column; 255 is the largest sample of the song.
    mel : ndarray, shape (n_mels, n_columns), uint8
        Log-mel spectrogram, the highest band first; 255 is its largest value.
    """

    duration: float
    peaks: ByteArray
    levels: ByteArray
    mel: ByteArray
