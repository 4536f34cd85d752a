"""Where the audio of a file begins and ends between the tags that programs put around it.

FFmpeg takes some of these blocks for audio: an APEv2 block behind an MP3 stretches its duration, one behind Monkey's
Audio becomes a part of the last packet, and a large ID3v2 block hides what comes behind it. So they are cut off before
FFmpeg sees the file, and what remains is the same whatever a tag editor did.
"""

from __future__ import annotations

import os
import struct

_ID3V1 = 128
_ID3V1_ENHANCED = 227
_APE = struct.Struct("<8sIIII8x")  # preamble, version, size with footer, items, flags
_APE_HAS_HEADER = 1 << 31
_APE_IS_HEADER = 1 << 29
_LYRICS1_MAX = 5100


def audio_span(fd: int, size: int) -> tuple[int, int]:
    """Return the byte range of the file open as `fd` that is left without leading and trailing tags."""
    start = _skip_leading(fd, size)
    return start, _skip_trailing(fd, start, size)


def _skip_leading(fd: int, size: int) -> int:
    start = 0
    while start < size:
        head = os.pread(fd, _APE.size, start)
        length = _id3v2_length(head) or _ape_length(head, header=True)
        if not length:
            break
        start += length
    return min(start, size)


def _skip_trailing(fd: int, start: int, end: int) -> int:
    while end > start:
        floor = max(start, end - _ID3V1 - _ID3V1_ENHANCED)
        length = _trailing_length(fd, os.pread(fd, end - floor, floor), end)
        if not length or end - length < start:
            break
        end -= length
    return end


def _trailing_length(fd: int, tail: bytes, end: int) -> int:
    if len(tail) >= _ID3V1 and tail[-_ID3V1:].startswith(b"TAG"):
        enhanced = len(tail) >= _ID3V1 + _ID3V1_ENHANCED and tail.startswith(b"TAG+")
        return _ID3V1 + (_ID3V1_ENHANCED if enhanced else 0)
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return int(tail[-15:-9]) + 15
    if tail.endswith(b"LYRICSEND"):
        floor = max(0, end - _LYRICS1_MAX - 20)
        begin = os.pread(fd, end - floor, floor).find(b"LYRICSBEGIN")
        return end - floor - begin if begin >= 0 else 0
    if tail[-10:-7] == b"3DI":
        return _id3v2_length(b"ID3" + tail[-7:])
    return _ape_length(tail[-_APE.size :], header=False)


def _id3v2_length(head: bytes) -> int:
    if len(head) < 10 or not head.startswith(b"ID3") or head[3] == 0xFF or head[4] == 0xFF:
        return 0
    if any(byte & 0x80 for byte in head[6:10]):
        return 0
    length = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return length + (20 if head[5] & 0x10 else 10)


def _ape_length(block: bytes, *, header: bool) -> int:
    if len(block) < _APE.size:
        return 0
    preamble, _, size, _, flags = _APE.unpack(block[: _APE.size])
    if preamble != b"APETAGEX" or bool(flags & _APE_IS_HEADER) != header or size < _APE.size:
        return 0
    return int(size) + (_APE.size if header or flags & _APE_HAS_HEADER else 0)
