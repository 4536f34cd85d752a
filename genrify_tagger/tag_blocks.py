"""Find the tags before and after the audio of a file: ID3v2, APEv2, Lyrics3, ID3v1, in any order.

References
----------
id3.org: ID3v1; ID3v2.4.0 main structure; Lyrics3 v2.00. Hydrogenaudio wiki: APEv2 specification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

ID3_HEADER = 10
ID3_FOOTER_FLAG = 0x10
APE_MAGIC = b"APETAGEX"
APE_FRAME = 32  # a header or a footer
APE_HAS_HEADER, APE_IS_HEADER = 1 << 31, 1 << 29
V1_SIZE = 128
V1_GENRE = 127  # offset of the genre byte
_V1_ENHANCED = 227
_LYRICS1_MAX = 5100 + 11 + 9

# Returns up to so many bytes (second argument) of a file from an offset (first argument).
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class TagBlock:
    """A tag after the audio: `kind` is "v1", "v1+", "lyrics", "ape" or "id3"; `header` is for "ape"."""

    kind: str
    start: int
    end: int
    header: bool = False


def id3_size(header: bytes) -> int:
    """Return the length of the ID3v2 tag that begins with `header` (ten bytes); 0 if it is not one."""
    if len(header) < ID3_HEADER or header[:3] != b"ID3" or 0xFF in header[3:5] or max(header[6:10]) > 0x7F:
        return 0
    footer = ID3_HEADER if header[3] >= 4 and header[5] & ID3_FOOTER_FLAG else 0
    return ID3_HEADER + (header[6] << 21 | header[7] << 14 | header[8] << 7 | header[9]) + footer


def audio_span(read: Read, size: int) -> tuple[int, int]:
    """Return the byte range of a file of `size` bytes without the tags at both ends."""
    start = 0
    while start < size and (length := _leading_size(read(start, APE_FRAME))):
        start += length
    start, end = min(start, size), size
    for block in trailing_blocks(read, start, size):
        end = block.start
    return start, end


def _leading_size(head: bytes) -> int:
    return id3_size(head[:ID3_HEADER]) or (APE_FRAME + _ape_size(head) if _is_ape(head, header=True) else 0)


def _is_ape(frame: bytes, *, header: bool) -> bool:
    if len(frame) != APE_FRAME or not frame.startswith(APE_MAGIC) or _ape_size(frame) < APE_FRAME:
        return False
    return bool(_ape_flags(frame) & APE_IS_HEADER) == header


def _ape_size(frame: bytes) -> int:
    """Return the length of the items and the footer."""
    return int.from_bytes(frame[12:16], "little")


def _ape_flags(frame: bytes) -> int:
    return int.from_bytes(frame[20:24], "little")


def trailing_blocks(read: Read, front: int, end: int) -> Iterator[TagBlock]:
    """Yield the tags after the audio, the last one first.

    Parameters
    ----------
    read : callable
        See `Read`.
    front, end : int
        Where the audio begins, and where the file ends.
    """
    block: TagBlock | None = None
    while (block := _last_block(read, front, end, after=block)) is not None:
        yield block
        end = block.start


def _last_block(read: Read, front: int, end: int, *, after: TagBlock | None) -> TagBlock | None:
    found = _ape(read, end) or _v1(read, end)
    if found is None and after is not None and after.kind == "v1" and read(end - _V1_ENHANCED, 4) == b"TAG+":
        found = TagBlock("v1+", end - _V1_ENHANCED, end)
    found = found or _lyrics(read, end) or _appended_id3(read, end)
    return found if found is not None and front <= found.start < end else None


def _ape(read: Read, end: int) -> TagBlock | None:
    footer = read(end - APE_FRAME, APE_FRAME)
    if not _is_ape(footer, header=False):
        return None
    has_header = bool(_ape_flags(footer) & APE_HAS_HEADER)
    return TagBlock("ape", end - _ape_size(footer) - (APE_FRAME if has_header else 0), end, header=has_header)


def _v1(read: Read, end: int) -> TagBlock | None:
    start = end - V1_SIZE
    # An APEv2 footer 131 bytes before the end would look like an ID3v1 tag ("APE" "TAGEX...").
    if read(start, 3) != b"TAG" or read(start - 3, 8) == APE_MAGIC:
        return None
    return TagBlock("v1", start, end)


def _lyrics(read: Read, end: int) -> TagBlock | None:
    mark = read(end - 9, 9)
    if mark == b"LYRICS200":
        digits = read(end - 15, 6)
        start = end - 15 - int(digits) if digits.isdigit() else -1
        return TagBlock("lyrics", start, end) if read(start, 11) == b"LYRICSBEGIN" else None
    if mark == b"LYRICSEND":
        first = max(0, end - _LYRICS1_MAX)
        at = read(first, end - first).rfind(b"LYRICSBEGIN")
        return TagBlock("lyrics", first + at, end) if at >= 0 else None
    return None


def _appended_id3(read: Read, end: int) -> TagBlock | None:
    footer = read(end - ID3_HEADER, ID3_HEADER)
    size = id3_size(b"ID3" + footer[3:]) if footer[:3] == b"3DI" else 0
    start = end - size
    return TagBlock("id3", start, end) if size and read(start, ID3_HEADER) == b"ID3" + footer[3:] else None
