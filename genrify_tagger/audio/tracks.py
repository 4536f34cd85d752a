"""Decode a song from any position.

MPEG audio is passed to the decoder frame by frame, which makes every position exact; FFmpeg seeks and demuxes all
other formats.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec import Codec

from genrify_tagger.audio.demuxer import Demuxer, open_audio
from genrify_tagger.audio.mpeg import MpegStream, frame_offsets
from genrify_tagger.audio.source import Source

_RESERVOIR = 1024  # bytes before a frame that may hold parts of its data, with a margin
_AHEAD = 1 << 16  # bytes read together: a second or more of audio
_PREROLL = 0.1  # seconds decoded before the start, for overlapping windows and predictors
_MPC8_TRUSTED = 4  # FFmpeg 8 gets the time of a Musepack file's second seek point wrong, which is before this packet


class AudioTrack(Protocol):
    """A stream to decode; the `pts` of its frames counts in units of `time_base` seconds from `zero`."""

    time_base: float
    zero: int

    def frames(self, start: float) -> Iterator[AudioFrame]:
        """Decode from shortly before `start` (seconds) to the end, skipping damaged packets."""


@contextmanager
def open_track(source: Source) -> Iterator[AudioTrack]:
    """Open the first audio stream of a file for decoding.

    Raises
    ------
    DecodeError
        If FFmpeg does not know the format, or there is no audio stream or no decoder for it.
    """
    with open_audio(source) as audio:
        yield _MpegTrack(source, audio) if isinstance(audio, MpegStream) else _DemuxedTrack(audio)


class _MpegTrack:
    def __init__(self, source: Source, stream: MpegStream) -> None:
        self._source = source
        self._stream = stream
        self._offsets = frame_offsets(source, stream)
        self._context = Codec(f"mp{stream.layer}float", "r").create("audio")
        self.time_base = 1 / stream.sample_rate
        self.zero = 0

    def frames(self, start: float) -> Iterator[AudioFrame]:
        self._context.flush_buffers()
        wanted = int(start / self.time_base / self._stream.samples)
        if wanted < len(self._offsets):
            first = bisect_right(self._offsets, self._offsets[wanted] - _RESERVOIR) - 2
            for packet in self._packets(max(0, first)):
                yield from _decode(self._context, packet)

    def _packets(self, first: int) -> Iterator[av.Packet[Any]]:
        lengths, samples = self._stream.lengths, self._stream.samples
        longest = max(lengths.values())
        ahead, at = b"", 0
        for number, offset in enumerate(self._offsets[first:], start=first):
            if not at <= offset <= at + len(ahead) - longest:
                ahead, at = self._source.read(offset, _AHEAD), offset
            begin = offset - at
            packet = av.Packet(ahead[begin : begin + lengths[ahead[begin : begin + 3]]])
            packet.pts = number * samples
            yield packet


class _DemuxedTrack:
    def __init__(self, audio: Demuxer) -> None:
        self._audio = audio
        self.time_base = float(audio.stream.time_base or 0)
        self.zero = audio.stream.start_time or 0

    def frames(self, start: float) -> Iterator[AudioFrame]:
        container, stream = self._audio.container, self._audio.stream
        target = max(0, int((start - _PREROLL) / self.time_base))
        if container.format.name == "mpc8" and target < _MPC8_TRUSTED:
            target = 0
        container.seek(self.zero + target, stream=stream)
        for packet in self._audio.packets():
            yield from _decode(stream.codec_context, packet)


def _decode(context: AudioCodecContext, packet: av.Packet[Any]) -> list[AudioFrame]:
    try:
        return context.decode(packet)
    except av.FFmpegError:
        return []  # a damaged packet, or one of another format in a chained stream
