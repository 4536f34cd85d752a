"""Any rate, layout and sample format to 16 kHz mono float32, by FFmpeg's own resampler."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.filter import Graph

# FFmpeg's resampler has no default for channel counts without a usual speaker layout.
_DOWNMIX = {"out_chlayout": "mono", "out_sample_fmt": "flt", "rematrix_maxval": "1"}


class Resampler:
    """A resampler for frames of one kind.

    The downmix weighs channels as ITU-R BS.775 does and is scaled so that it cannot clip: stereo becomes the mean.

    Parameters
    ----------
    like : AudioFrame or AudioFifo
        What the frames will be like in rate, layout and sample format.
    sample_rate : int
        The rate wanted, in Hertz.
    """

    def __init__(self, like: Any, sample_rate: int) -> None:
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=like.sample_rate,
            format=like.format.name,
            layout=like.layout.name,
            time_base=Fraction(1, like.sample_rate),
        )
        convert = self._graph.add("aresample", f"{sample_rate}:" + ":".join(f"{k}={v}" for k, v in _DOWNMIX.items()))
        self._sink = self._graph.add("abuffersink")
        self._source.link_to(convert)
        convert.link_to(self._sink)
        self._graph.configure()

    def push(self, frame: AudioFrame | None) -> list[npt.NDArray[np.float32]]:
        """Put a frame in (None ends the sound) and return the pieces that come out, float32 of shape (samples,)."""
        if frame is not None:
            frame.pts = None
        self._source.push(frame)
        pieces = []
        while True:
            try:
                out = self._sink.pull()
            except av.EOFError:
                return pieces
            except av.BlockingIOError:
                return pieces
            pieces.append(np.frombuffer(out.planes[0], np.float32, count=out.samples).copy())
