"""What listening to one song gives: plain arrays, made in a worker, kept by the store, judged by `decision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
ByteArray = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Analysis:
    """One song as the network heard it.

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
        Mean tag probabilities of the song.
    embedding : ndarray, shape (n_dimensions,)
        Mean embedding of the song.
    """

    duration: float
    intervals: FloatArray
    levels: FloatArray
    outputs: Mapping[str, FloatArray]
    tags: FloatArray
    embedding: FloatArray


@dataclass(frozen=True)
class Sound:
    """The audio in a file, told without decoding it.

    Attributes
    ----------
    key : str
        Audio key: hexadecimal BLAKE2b over codec parameters and packets; tags do not enter it.
    duration : float
        Seconds of audio, from the packets and not from the container's word.
    container, codec : str
        FFmpeg's short names.
    sample_rate : int
        Hertz.
    channels : int
        Number of channels.
    """

    key: str
    duration: float
    container: str
    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, eq=False)
class Picture:
    """A whole song to look at, in equally wide columns from its beginning to its end.

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
