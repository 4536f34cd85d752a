"""Opening a file for FFmpeg, without its tags and without giving FFmpeg its name.

FFmpeg reads through a descriptor of ours: a name can neither mislead its guess of the format, nor be taken for an
address ("concat:..."), nor hold bytes it cannot bear; and a playlist in the guise of a song opens nothing else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av
import av.logging
from av.audio.stream import AudioStream
from av.container import InputContainer

from genrify_tagger.audio.tagblocks import audio_span
from genrify_tagger.errors import DecodeError

av.logging.set_level(None)  # FFmpeg's log never reaches the user


@dataclass(frozen=True)
class Source:
    """An open file and the byte range of it that lies between its tags."""

    path: str
    fd: int
    start: int
    end: int

    def read(self, start: int, size: int) -> bytes:
        """Read up to `size` bytes from file position `start`, never beyond `end`."""
        return os.pread(self.fd, max(0, min(size, self.end - start)), start)

    def chunks(self, start: int, end: int, size: int = 1 << 20) -> Iterator[bytes]:
        """Yield the bytes of a range of file positions piece by piece."""
        while start < end and (piece := self.read(start, min(size, end - start))):
            yield piece
            start += len(piece)


@contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open a file.

    Raises
    ------
    DecodeError
        If it cannot be read, is no regular file, or is empty. Errors of FFmpeg and of the file system that come up in
        the body are turned into a `DecodeError` as well.
    """
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", path=path) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("not a regular file", path=path)
        if status.st_size == 0:
            raise DecodeError("empty file", path=path)
        start, end = audio_span(fd, status.st_size)
        if start >= end:
            raise DecodeError("nothing but tags in the file, no audio", path=path)
        yield Source(path, fd, start, end)
    except av.FFmpegError as error:
        raise DecodeError(f"FFmpeg cannot read it: {error.strerror}", path=path) from error
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", path=path) from error
    finally:
        os.close(fd)


class _View:
    """The file object FFmpeg reads: the part of the file between its tags."""

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


@contextmanager
def open_stream(source: Source, *, format_name: str | None = None) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Let FFmpeg open the file and yield the container and its first audio stream, ready for one-threaded decoding.

    Raises
    ------
    DecodeError
        If FFmpeg knows no such format, or there is no audio stream, or no decoder for it.
    """
    try:
        container = av.open(
            _View(source),
            format=format_name,
            options={"protocol_whitelist": "fd"},
            metadata_errors="replace",
            buffer_size=1 << 16,
        )
    except (av.InvalidDataError, av.PermissionError) as error:
        raise DecodeError("not an audio file FFmpeg knows", path=source.path) from error
    with container:
        stream = next(iter(container.streams.audio), None)
        if stream is None:
            raise DecodeError("no audio stream", path=source.path)
        if stream.codec_context is None:
            raise DecodeError("no decoder for its audio (protected or unknown codec)", path=source.path)
        stream.codec_context.thread_count = 1
        yield container, stream
