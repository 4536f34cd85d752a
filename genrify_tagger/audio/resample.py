"""Convert frames of any rate, channel layout and sample format to mono float32 of one rate, with FFmpeg."""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import av
import numpy as np
import numpy.typing as npt
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.filter import Graph

# Channels are weighted by ITU-R BS.775 and scaled so that the sum cannot clip: stereo becomes the mean.
_BLOCK = 1 << 14  # samples per call: few calls, but small enough that memory is reused instead of mapped again
_EDGE = 128  # samples at an end of the output that the resampler's filter reaches beyond, with a margin
_CONVERT = "aresample={rate}:out_chlayout=mono:out_sample_fmt=flt:rematrix_maxval=1"


class Mixer:
    """Takes frames and returns mono samples; the format may change between frames (chained streams).

    Parameters
    ----------
    sample_rate : int
        The output rate in Hertz.
    gather : bool
        Whether to keep all frames unconverted until `read`, so that `drop` can discard some.
    shared : SharedConverters or None
        Those of the song, for `read_inner`.
    """

    def __init__(self, sample_rate: int, *, gather: bool = False, shared: SharedConverters | None = None) -> None:
        self._sample_rate = sample_rate
        self._gather = gather
        self._shared = shared
        self._pieces: list[npt.NDArray[np.float32]] = []
        self._kind: tuple[str, str, int] | None = None
        self._fifo = AudioFifo()
        self._graph: _Graph | None = None
        self.seconds = 0.0

    def write(self, frame: AudioFrame) -> None:
        """Add a frame."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if kind != self._kind:
            self._finish()
            self._kind = kind
        frame.pts = None
        self._fifo.write(frame)
        self.seconds += frame.samples / frame.sample_rate
        if not self._gather and self._fifo.samples >= _BLOCK:
            self._convert()

    def drop(self, seconds: float) -> float:
        """Discard about `seconds` from the beginning of the unconverted samples; return the seconds discarded."""
        samples = min(round(seconds * self._fifo.sample_rate), self._fifo.samples)
        if samples > 0:
            self._fifo.read(samples)
        return max(0, samples) / self._fifo.sample_rate

    def read(self) -> npt.NDArray[np.float32]:
        """Convert what is left and return all samples, float32 of shape (samples,)."""
        self._finish()
        return np.concatenate(self._pieces) if self._pieces else np.zeros(0, np.float32)

    def read_inner(self, first: int, last: int) -> npt.NDArray[np.float32]:
        """Do the same, if only the samples from `first` to `last` are needed; faster where they are not at an end."""
        if self._shared is None or self._pieces or self._kind is None:  # or the format has changed between frames
            return self.read()
        length = self._fifo.samples * self._sample_rate // self._kind[2]
        if first < _EDGE or last + _EDGE > length:
            return self.read()
        fifo, self._fifo = self._fifo, AudioFifo()
        return self._shared.convert(fifo, self._kind, self._sample_rate)

    def _convert(self) -> None:
        while self._kind and (frame := self._fifo.read(_BLOCK, partial=True)):
            self._graph = self._graph or _Graph(*self._kind, self._sample_rate)
            self._pieces += self._graph.push(frame)

    def _finish(self) -> None:
        self._convert()
        if self._graph:
            self._pieces += self._graph.push(None)
        self._graph, self._fifo = None, AudioFifo()


class SharedConverters:
    """Converts many runs of frames, one after another; setting up a filter graph takes longer than half a run."""

    def __init__(self) -> None:
        self._converters: dict[tuple[str, str, int], _Converter] = {}

    def convert(self, fifo: AudioFifo, kind: tuple[str, str, int], sample_rate: int) -> npt.NDArray[np.float32]:
        """Return the samples of a run; those within `_EDGE` of its ends are not what they would be by themselves."""
        if kind not in self._converters:
            self._converters[kind] = _Converter(kind, sample_rate)
        return self._converters[kind].convert(fifo)


class _Converter:
    """A graph that gets runs of frames with gaps between them, each a whole number of its periods long.

    After a period the resampler is in the same phase again, so that each run gets the samples that it would get alone.
    """

    def __init__(self, kind: tuple[str, str, int], sample_rate: int) -> None:
        self._kind = kind
        self._graph = _Graph(*kind, sample_rate)
        common = gcd(kind[2], sample_rate)
        self._period, self._samples_per_period = kind[2] // common, sample_rate // common
        self._behind = 0  # samples of the former run and of the gap after it that are still to come

    def convert(self, fifo: AudioFifo) -> npt.NDArray[np.float32]:
        length = fifo.samples
        pieces: list[npt.NDArray[np.float32]] = []
        while frame := fifo.read(_BLOCK, partial=True):
            pieces += self._graph.push(frame)
        periods = -(-(length + _EDGE * self._kind[2] // 1000) // self._period)
        pieces += self._graph.push(self._gap(periods * self._period - length))
        y = np.concatenate(pieces)[self._behind :]
        self._behind = periods * self._samples_per_period - len(y)
        return y

    def _gap(self, samples: int) -> AudioFrame:
        sample_format, layout, rate = self._kind
        frame = AudioFrame(sample_format, layout, samples)
        frame.sample_rate = rate
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        return frame


class _Graph:
    def __init__(self, sample_format: str, layout: str, rate: int, sample_rate: int) -> None:
        try:
            self._build(sample_format, layout, rate, _CONVERT.format(rate=sample_rate))
        except av.ArgumentError:
            # more channels than any layout has: use their mean
            count = AudioLayout(layout).nb_channels
            mean = "pan=mono|c0=" + "+".join(f"{1 / count}*c{n}" for n in range(count))
            self._build(sample_format, layout, rate, mean, _CONVERT.format(rate=sample_rate))

    def _build(self, sample_format: str, layout: str, rate: int, *filters: str) -> None:
        self._graph = Graph()
        self._source = self._graph.add_abuffer(
            sample_rate=rate, format=sample_format, layout=layout, time_base=Fraction(1, rate)
        )
        self._sink = self._graph.add("abuffersink")
        chain = [self._graph.add(*(name.split("=", 1))) for name in filters]
        self._graph.link_nodes(self._source, *chain, self._sink).configure()

    def push(self, frame: AudioFrame | None) -> list[npt.NDArray[np.float32]]:
        if frame is not None:
            frame.pts = None
        self._source.push(frame)
        pieces: list[npt.NDArray[np.float32]] = []
        while True:
            try:
                out = self._sink.pull()
            except (av.EOFError, av.BlockingIOError):
                return pieces
            if isinstance(out, AudioFrame):
                pieces.append(np.frombuffer(memoryview(out.planes[0]), np.float32, count=out.samples).copy())
