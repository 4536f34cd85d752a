"""Open a file to read its audio: the bytes between its tags."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av

from genrify_tagger import open_files
from genrify_tagger.errors import DecodeError
from genrify_tagger.tag_blocks import audio_span


@dataclass(frozen=True)
class Source:
    """An open file, and the byte range between its tags."""

    path: str
    fd: int
    start: int
    end: int

    def read(self, start: int, size: int) -> bytes:
        """Read up to `size` bytes from file position `start`, never beyond `end`."""
        return open_files.read_at(self.fd, max(0, min(size, self.end - start)), start)

    def chunks(self, start: int, end: int, size: int = 1 << 18) -> Iterator[bytes]:
        """Yield the bytes of a range of file positions piece by piece; larger pieces get new memory each time."""
        while start < end and (piece := self.read(start, min(size, end - start))):
            yield piece
            start += len(piece)


@contextmanager
def open_source(path: str, *, with_tags: bool = False) -> Iterator[Source]:
    """Open a file.

    Parameters
    ----------
    path : str
    with_tags : bool
        Whether to include the tags at both ends.

    Raises
    ------
    DecodeError
        If it cannot be read, is not a regular file, or is empty; also in place of errors of FFmpeg and of the file
        system in the `with` block.
    """
    try:
        fd = os.open(path, open_files.READ)
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", path=path) from error
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise DecodeError("not a regular file", path=path)
        if status.st_size == 0:
            raise DecodeError("empty file", path=path)
        # FFmpeg takes tags for audio: an APEv2 tag after an MP3 adds to its duration, one after Monkey's Audio
        # becomes a part of the last packet, and a large ID3v2 block hides what follows it.
        start, end = (0, status.st_size) if with_tags else audio_span(_reader(fd), status.st_size)
        if start >= end:
            raise DecodeError("nothing but tags in the file, no audio", path=path)
        yield Source(path, fd, start, end)
    except av.FFmpegError as error:
        raise DecodeError(f"FFmpeg cannot read it: {_reason(error)}", path=path) from error
    except OSError as error:
        raise DecodeError(f"cannot be read: {error.strerror}", path=path) from error
    finally:
        os.close(fd)


def _reader(fd: int) -> Callable[[int, int], bytes]:
    return lambda offset, length: open_files.read_at(fd, length, offset) if offset >= 0 else b""


def _reason(error: av.FFmpegError) -> str | None:
    # FFmpeg does not access the file itself: EPERM is its unspecific error code -1.
    return "it is damaged or truncated" if error.errno == errno.EPERM else error.strerror
