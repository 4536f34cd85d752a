"""Segments of a song at 16 kHz mono, found by seeking, and whole songs for the training workbench."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from genrify_tagger.audio.identity import probe
from genrify_tagger.audio.resample import Resampler
from genrify_tagger.audio.source import open_source, open_stream
from genrify_tagger.errors import DecodeError

SAMPLE_RATE = 16000
SEGMENT_SECONDS = 3.0
SEGMENT_SAMPLES = 48000

_GRID = 0.04  # seconds: a whole number of samples at every usual rate, so that segments share the full decode's phase
_MARGIN = 640  # samples of 16 kHz decoded on both sides and cut off: the resampler's edges
_PREROLL = 0.3  # seconds decoded and thrown away before: bit reservoir, overlap and predictors of the codecs


@dataclass(frozen=True)
class Segments:
    """Segments of a song.

    Attributes
    ----------
    y : np.ndarray, shape (n, SEGMENT_SAMPLES), float32
        The samples at SAMPLE_RATE, mono.
    intervals : np.ndarray, shape (n, 2), float32
        Start and end of each segment in seconds.
    """

    y: npt.NDArray[np.float32]
    intervals: npt.NDArray[np.float32]


def load_segments(path: str, *, n_segments: int = 8, duration: float | None = None) -> Segments:
    """Decode evenly spaced 3-second segments of a song.

    The song is cut into `n_segments` equal parts and the middle of each part is heard, so a silent lead-in costs at
    most the first votes. A song too short for that many gets as many as fit without overlap, and one shorter than a
    single segment gets one, from its beginning, filled up with zeros.

    Parameters
    ----------
    path : str
    n_segments : int
        How many segments at most.
    duration : float or None
        The song's duration as `probe` found it; None to probe it here.

    Returns
    -------
    Segments

    Raises
    ------
    DecodeError
        If there is no audio in the file, or none of it can be decoded.
    """
    starts = _starts(probe(path).duration if duration is None else duration, n_segments)
    y = np.zeros((len(starts), SEGMENT_SAMPLES), np.float32)
    decoded = 0
    with open_source(path) as source, open_stream(source) as (container, stream):
        for row, start in zip(y, starts, strict=True):
            decoded += _load_segment(container, stream, start, row)
    if not decoded:
        raise DecodeError("no audio in it can be decoded", path=path)
    intervals = np.stack([starts, starts + SEGMENT_SECONDS], axis=1).astype(np.float32)
    return Segments(y, intervals)


def decode_all(path: str) -> npt.NDArray[np.float32]:
    """Decode a whole song.

    Parameters
    ----------
    path : str

    Returns
    -------
    np.ndarray, shape (samples,), float32
        The song at SAMPLE_RATE, mono.

    Raises
    ------
    DecodeError
        If there is no audio in the file, or none of it can be decoded.
    """
    pieces: list[npt.NDArray[np.float32]] = []
    with open_source(path) as source, open_stream(source) as (container, stream):
        resampler = None
        for packet in container.demux(stream):
            for frame in _decode(packet):
                if resampler is None:
                    resampler = Resampler(frame, SAMPLE_RATE)
                pieces += resampler.push(frame)
        if resampler is not None:
            pieces += resampler.push(None)
    if not pieces:
        raise DecodeError("no audio in it can be decoded", path=path)
    return np.concatenate(pieces)


def _starts(duration: float, n_segments: int) -> npt.NDArray[np.float64]:
    n = max(1, min(n_segments, int(duration / SEGMENT_SECONDS)))
    middles = (np.arange(n) + 0.5) * (duration / n)
    return np.floor(np.maximum(middles - SEGMENT_SECONDS / 2, 0) / _GRID) * _GRID


def _decode(packet: av.Packet) -> list[AudioFrame]:
    try:
        return packet.decode()
    except (av.InvalidDataError, av.EOFError):
        return []  # a damaged packet: go on behind it


def _load_segment(container: InputContainer, stream: AudioStream, start: float, out: npt.NDArray[np.float32]) -> bool:
    time_base = float(stream.time_base or 0)
    zero = stream.start_time or 0
    container.seek(zero + int(max(0.0, start - _PREROLL) / time_base), stream=stream)
    first, last = start - _MARGIN / SAMPLE_RATE, start + (SEGMENT_SAMPLES + _MARGIN) / SAMPLE_RATE
    fifo = AudioFifo()
    begins = None
    for packet in container.demux(stream):
        for frame in _decode(packet):
            if frame.pts is None:
                continue
            at = (frame.pts - zero) * float(frame.time_base)
            rate = frame.sample_rate
            if at + frame.samples / rate <= first:
                continue
            if begins is None:
                begins = round(at * rate)
            frame.pts = None
            fifo.write(frame)
        if begins is not None and begins / rate + fifo.samples / rate >= last:
            break
    if begins is None:
        return False
    skip = round(first * rate) - begins
    if skip > 0:
        fifo.read(skip)
    resampler = Resampler(fifo, SAMPLE_RATE)
    pieces = resampler.push(fifo.read()) + resampler.push(None)
    y = np.concatenate(pieces)
    offset = _MARGIN if skip > 0 else round((start - begins / rate) * SAMPLE_RATE)
    y = y[max(0, offset) :][:SEGMENT_SAMPLES]
    out[: len(y)] = y
    return True
