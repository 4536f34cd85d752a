"""Open a file in FFmpeg, without its tags and without its name.

FFmpeg reads from a file object: a name can neither mislead its format detection, nor be taken for a URL
("concat:..."), nor contain bytes that FFmpeg rejects; and a playlist named as a song cannot open other files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer

from genrify_tagger.audio.mpeg import MpegStream, find_mpeg
from genrify_tagger.audio.source import Source
from genrify_tagger.errors import DecodeError

av.logging.set_level(None)  # FFmpeg's log never reaches the user

# PyAV 19 always reads metadata leniently and has no such argument.
_LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


@dataclass(frozen=True)
class Demuxer:
    """A file as FFmpeg sees it, and its first audio stream."""

    container: InputContainer
    stream: AudioStream

    def packets(self) -> Iterator[av.Packet[AudioStream]]:
        """Demux the stream from its current position, skipping damaged parts."""
        progress = True
        while progress:
            progress = False
            try:
                for packet in self.container.demux(self.stream):
                    progress = True
                    yield packet
                return
            except av.FFmpegError:
                continue


@contextmanager
def open_audio(source: Source) -> Iterator[MpegStream | Demuxer]:
    """Detect the format of a file and open it.

    MPEG audio is read without FFmpeg; only the bytes between the tags decide whether a file is MPEG audio.

    Raises
    ------
    DecodeError
        If FFmpeg does not know the format, or there is no audio stream or no decoder for it.
    """
    mpeg = find_mpeg(source)
    if mpeg and mpeg.clean:
        yield mpeg
        return
    with open_container(source) as container:
        if mpeg and container.format.name == "mp3":
            yield mpeg
        else:
            yield Demuxer(container, _audio_stream(container, source.path))


def open_container(source: Source) -> InputContainer:
    """Open a file in FFmpeg.

    Raises
    ------
    DecodeError
        If it does not know the format.
    """
    try:
        container: InputContainer = av.open(
            _ByteRangeFile(source),
            mode="r",
            options={"protocol_whitelist": "fd"},
            buffer_size=1 << 16,
            **_LENIENT,
        )
        return container
    except av.FFmpegError as error:
        raise DecodeError("not an audio format that FFmpeg knows", path=source.path) from error


def _audio_stream(container: InputContainer, path: str) -> AudioStream:
    stream = next(iter(container.streams.audio), None)
    if stream is None:
        raise DecodeError("no audio stream", path=path)
    if stream.codec_context is None:
        raise DecodeError("no decoder for its audio (protected or unknown codec)", path=path)
    stream.codec_context.thread_count = 1
    return stream


class _ByteRangeFile:
    """A file object for FFmpeg: the part of a file between its tags."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def read(self, size: int) -> bytes:
        piece = self._source.read(self._source.start + self._position, size)
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._position, self._source.end - self._source.start)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position
