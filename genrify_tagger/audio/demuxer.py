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
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer

from genrify_tagger.audio.mpeg import MpegStream, find_mpeg
from genrify_tagger.audio.source import Source
from genrify_tagger.errors import DecodeError

av.logging.set_level(None)  # FFmpeg's log never reaches the user

# PyAV 19 always reads metadata leniently and has no such argument.
_LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


# FFmpeg tries all its formats on the first half megabyte of 16-bit PCM in WAV, in case it is something else, which
# takes longer than the rest of the opening. Two packets are enough for what begins with a frame; DTS, which on a CD
# begins anywhere, is searched for in all of it.
_FEW_PACKETS = {"max_probe_packets": "2"}
_SEARCHED = 1 << 19
_DTS = np.frombuffer(bytes.fromhex("7ffe8001 fe7f0180 1fffe800 ff1f00e8 64582025 58642520"), "<u2").reshape(-1, 2)


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
    if source.read(source.start, 1 << 16).lstrip(b"\0").startswith(b"\xff"):
        mpeg = find_mpeg(source)
        if mpeg and mpeg.clean:
            yield mpeg
            return
    with open_container(source) as container:
        mpeg = find_mpeg(source) if container.format.name == "mp3" else None
        if mpeg:
            yield mpeg
        else:
            yield Demuxer(container, _audio_stream(container, source.path))


def open_container(source: Source, *, for_tags: bool = False) -> InputContainer:
    """Open a file in FFmpeg.

    Parameters
    ----------
    source : Source
    for_tags : bool
        Whether the codec does not matter.

    Raises
    ------
    DecodeError
        If it does not know the format.
    """
    try:
        container: InputContainer = av.open(
            _ByteRangeFile(source),
            mode="r",
            options={"protocol_whitelist": "fd", **(_FEW_PACKETS if for_tags or _is_plain_wav(source) else {})},
            buffer_size=1 << 16,
            **_LENIENT,
        )
        return container
    except av.FFmpegError as error:
        raise DecodeError("not an audio format that FFmpeg knows", path=source.path) from error


def _is_plain_wav(source: Source) -> bool:
    """Tell whether a file is WAV of the rate of a CD or more, begins with sound, and holds no DTS."""
    head = source.read(source.start, _SEARCHED)
    if not (head.startswith(b"RIFF") and head[8:16] == b"WAVEfmt "):
        return False
    bytes_per_second = int.from_bytes(head[28:32], "little")
    begins_silent = not head[1 << 12 : 1 << 14].strip(b"\0")
    return bytes_per_second >= 44100 * 4 and not begins_silent and not _may_be_dts(head)


def _may_be_dts(head: bytes) -> bool:
    words = np.frombuffer(head, "<u2", len(head) // 2)
    return any((words[1:][words[:-1] == first] == second).any() for first, second in _DTS)


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
