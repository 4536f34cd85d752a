"""Segments of a song at 16 kHz mono, found by seeking, and whole songs for the training workbench."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

from genrify_tagger.audio.identity import probe
from genrify_tagger.audio.resample import Mixer, SharedConverters
from genrify_tagger.audio.source import open_source
from genrify_tagger.audio.tracks import AudioTrack, open_track
from genrify_tagger.errors import DecodeError

SAMPLE_RATE = 16000
SEGMENT_SECONDS = 3.0
SEGMENT_SAMPLES = 48000

_GRID = 0.04  # seconds: a whole number of samples at every usual rate, so that segments share the full decode's phase
_MARGIN = 0.04  # seconds decoded on both sides of a segment and cut off: the resampler's edges
_FAR = 2.0  # seconds before a segment beyond which decoded samples are discarded
_LEADS = (0.0, 1.0, 8.0)  # seconds to seek further back if a seek lands after the start of the segment
_TOLERANCE = 1e-3


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

    The song is divided into `n_segments` equal parts, and a segment is taken from the middle of each, so that a silent
    intro costs at most the first ones. A shorter song gets as many segments as fit without overlap, and one shorter
    than a segment gets one from its beginning, padded with zeros.

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
    shared = SharedConverters()
    with open_source(path) as source, open_track(source) as track:
        pieces = [_load_segment(track, start, shared) for start in starts]
    if all(y is None for y in pieces):
        raise DecodeError("no audio in it can be decoded", path=path)
    silence = np.zeros(SEGMENT_SAMPLES, np.float32)
    intervals = np.stack([starts, starts + SEGMENT_SECONDS], axis=1).astype(np.float32)
    return Segments(np.stack([silence if y is None else y for y in pieces]), intervals)


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
    with open_source(path) as source, open_track(source) as track:
        run = _FrameRun(track)
        for frame in track.frames(0):
            run.add(frame)
        y = run.mixer.read()
    if not len(y):
        raise DecodeError("no audio in it can be decoded", path=path)
    begin = round(run.begin * SAMPLE_RATE)
    return np.pad(y, (begin, 0)) if begin > 0 else y[-begin:]


class _FrameRun:
    """Consecutive frames and the time at which they begin.

    Each time stamp gives an estimate of the beginning, and the median counts: after a seek the first stamps may be
    wrong (Ogg), or all of them rounded (milliseconds in Matroska and ASF).
    """

    def __init__(self, track: AudioTrack, shared: SharedConverters | None = None) -> None:
        self._track = track
        self._shared = shared
        self.clear()

    def clear(self) -> None:
        self.mixer = Mixer(SAMPLE_RATE, gather=self._shared is not None, shared=self._shared)
        self._estimates: list[float] = []

    def add(self, frame: AudioFrame) -> None:
        if frame.pts is not None:
            self._estimates.append((frame.pts - self._track.zero) * self._track.time_base - self.mixer.seconds)
        self.mixer.write(frame)

    @property
    def begin(self) -> float:
        return median_low(self._estimates) if self._estimates else 0.0

    @property
    def end(self) -> float:
        """The end of the last frame by its time stamp."""
        return (self._estimates[-1] if self._estimates else 0.0) + self.mixer.seconds


def _starts(duration: float, n_segments: int) -> npt.NDArray[np.float64]:
    n = max(1, min(n_segments, int(duration / SEGMENT_SECONDS)))
    middles = (np.arange(n) + 0.5) * (duration / n)
    starts: npt.NDArray[np.float64] = np.floor(np.maximum(middles - SEGMENT_SECONDS / 2, 0) / _GRID) * _GRID
    return starts


def _load_segment(track: AudioTrack, start: float, shared: SharedConverters) -> npt.NDArray[np.float32] | None:
    """Return a segment's samples; None if nothing of it can be decoded."""
    first = max(0.0, start - _MARGIN)
    for lead in _LEADS:
        run = _decode_range(track, shared, max(0.0, first - lead), first, start + SEGMENT_SECONDS + _MARGIN)
        if run.begin <= first + _TOLERANCE or lead >= first:
            break
    if not run.mixer.seconds:
        return None
    begin = run.begin
    if begin < first:
        begin += run.mixer.drop(first - begin)
    at = round((start - begin) * SAMPLE_RATE)
    return _cut(run.mixer.read_inner(at, at + SEGMENT_SAMPLES), at)


def _decode_range(track: AudioTrack, shared: SharedConverters, seek_to: float, first: float, last: float) -> _FrameRun:
    run = _FrameRun(track, shared)
    for frame in track.frames(seek_to):
        run.add(frame)
        if run.end >= last:
            break
        if run.end < first - _FAR:
            run.clear()
    return run


def _cut(y: npt.NDArray[np.float32], at: int) -> npt.NDArray[np.float32]:
    """Return SEGMENT_SAMPLES of `y` from sample `at` on (which may be negative), zeros beyond its ends."""
    out = np.zeros(SEGMENT_SAMPLES, np.float32)
    piece = y[max(0, at) : max(0, at + SEGMENT_SAMPLES)]
    offset = max(0, -at)
    out[offset : offset + len(piece)] = piece[: SEGMENT_SAMPLES - offset]
    return out
