"""One ID3v2 tag as bytes: find the genre frame and replace it, leaving every other byte of the tag as it is.

mutagen is not used to write ID3: it translates frames to another version, drops what it cannot parse and merges ID3v1
into ID3v2. Here a tag is split at its frame boundaries and reassembled with other genre frames.

All versions keep their version. ID3v2.2, too: its genre frame (TCO) is as good as TCON to every reader, and converting
the rest of the tag would touch other frames.

References
----------
id3.org: ID3 tag version 2.2.0; 2.3.0; 2.4.0 main structure and native frames.
"""

from __future__ import annotations

import functools
import itertools
import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tag_blocks import ID3_FOOTER_FLAG as FOOTER
from genrify_tagger.tag_blocks import ID3_HEADER as HEADER
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import check_count

UNSYNC, EXTENDED = 0x80, 0x40
_BLOCK = 64 << 10
_PUT_IN = re.compile(rb"\xff\x00")
_ZEROS = re.compile(rb"\0*")
_FRAME_ID = {2: re.compile(rb"[A-Z0-9]{3}"), 3: re.compile(rb"[A-Z0-9]{3}[A-Z0-9 \0]"), 4: re.compile(rb"[A-Z0-9]{4}")}


def syncsafe(number: int) -> bytes:
    """Return 28 bits as four bytes of seven."""
    return bytes((number >> shift) & 0x7F for shift in (21, 14, 7, 0))


def from_syncsafe(data: bytes) -> int:
    """Read four bytes of seven bits."""
    return sum((byte & 0x7F) << shift for byte, shift in zip(data, (21, 14, 7, 0), strict=True))


def unsync(data: bytes) -> bytes:
    """Apply unsynchronisation: no ``FF`` is followed by what looks like a sync, or by ``00``, or by the end."""
    out = re.sub(rb"\xff(?=[\xe0-\xff\x00])", b"\xff\x00", data)
    return out + b"\0" if out.endswith(b"\xff") else out


def resync(data: bytes) -> bytes:
    """Reverse unsynchronisation."""
    return data.replace(b"\xff\x00", b"\xff")


@dataclass(frozen=True)
class Tag:
    """An ID3v2 tag split at its frame boundaries.

    Attributes
    ----------
    version, revision, flags : int
        From the header.
    extended : bytes
        The extended header as in the file, or nothing.
    frames : tuple of bytes
        The frames as in the file (with whole-tag unsynchronisation still applied).
    tail : bytes
        What follows the frames and is not padding, kept as it is.
    padding : int
        Number of zero bytes at the end.
    wide : bool
        Frame sizes of this ID3v2.4 tag use all eight bits of a byte (as old iTunes wrote them).
    """

    version: int
    revision: int
    flags: int
    extended: bytes
    frames: tuple[bytes, ...]
    tail: bytes
    padding: int
    wide: bool = False

    @property
    def whole_unsync(self) -> bool:
        """Whether unsynchronisation was applied to the tag as a whole (before ID3v2.4)."""
        return self.version < 4 and bool(self.flags & UNSYNC)

    @property
    def place(self) -> str:
        """Name of the kind of tag, within which frames can be exchanged byte by byte."""
        return f"id3v2.{self.version}{'u' if self.flags & UNSYNC else ''}{'w' if self.wide else ''}"

    @property
    def size(self) -> int:
        """Length of the whole tag in bytes."""
        footer = HEADER if self.version >= 4 and self.flags & FOOTER else 0
        return HEADER + len(self.extended) + sum(map(len, self.frames)) + len(self.tail) + self.padding + footer

    def build(self) -> list[bytes]:
        """Return the tag's bytes in pieces, which together may be large."""
        body = [self.extended, *self.frames, self.tail, bytes(self.padding)]
        size = sum(map(len, body))
        if size >= 1 << 28:
            raise WriteRefusedError("the ID3 tag would become too large")
        rest = bytes((self.version, self.revision, self.flags)) + syncsafe(size)
        footer = b"3DI" + rest if self.version >= 4 and self.flags & FOOTER else b""
        return [b"ID3", rest, *body, footer]

    def with_frames(self, frames: Sequence[bytes], *, size: int) -> Tag:
        """Return the tag with other frames, padded to `size` bytes in all if it is not longer anyway."""
        bare = replace(self, frames=tuple(frames), padding=0)
        footer = self.version >= 4 and self.flags & FOOTER
        padded = replace(bare, padding=0 if footer else max(0, size - bare.size))
        return replace(padded, extended=_renewed(self, padded))


def empty_tag(version: int) -> Tag:
    """Return a tag without frames."""
    return Tag(version, 0, 0, b"", (), b"", 0)


def parse(data: bytes) -> Tag:
    """Split a whole tag (header to footer) at its frame boundaries.

    Raises
    ------
    TagReadError
        If the version is unknown or the extended header extends past the tag.
    """
    version, revision, flags = data[3], data[4], data[5]
    if version not in (2, 3, 4):
        raise TagReadError(f"ID3v2.{version} is not known")
    if version == 2 and flags & 0x40:
        raise TagReadError("the ID3v2.2 tag is compressed")
    body = memoryview(data)[HEADER : HEADER + from_syncsafe(data[6:10])]
    borders = _OffsetMap(body, data, on=version < 4 and bool(flags & UNSYNC))
    start = _extended_size(borders.plain, version) if version > 2 and flags & EXTENDED else 0
    spans, end, wide = _spans(borders.plain, start, version)
    frames = tuple(memory_budget.deduplicated(body[borders.raw(a) : borders.raw(b)]) for a, b in spans)
    rest = body[borders.raw(end) :]
    padding = len(rest) if _ZEROS.fullmatch(rest) else 0
    tail = memory_budget.deduplicated(rest[: len(rest) - padding])
    return Tag(version, revision, flags, bytes(body[: borders.raw(start)]), frames, tail, padding, wide)


class _OffsetMap:
    """Translate offsets in a resynchronised tag into offsets in the original bytes.

    Millions of bytes may have been put in, and few offsets are needed: they are counted by blocks.
    """

    def __init__(self, body: memoryview, data: bytes, *, on: bool) -> None:
        self._body = body if on else memoryview(b"")
        # Of the whole tag, which avoids a copy of its body; no sequence crosses the end of the header.
        self.plain = memoryview(resync(data))[len(resync(data[:HEADER])) :] if on else body
        counts = (len(self._zeros(at)) for at in range(0, len(self._body), _BLOCK))
        self._starts = [k * _BLOCK - before for k, before in enumerate(itertools.accumulate(counts, initial=0))]
        self._last: tuple[int, list[int]] = (-1, [])

    def _zeros(self, start: int) -> list[int]:
        """Return the places, within a block, of the bytes that were put in."""
        first = max(0, start - 1)
        return [match.start() + 1 - start for match in _PUT_IN.finditer(self._body, first, start + _BLOCK)]

    def raw(self, offset: int) -> int:
        block = bisect_right(self._starts, offset) - 1
        if self._last[0] != block:
            self._last = block, [zero - index for index, zero in enumerate(self._zeros(block * _BLOCK))]
        within = offset - self._starts[block]
        return block * _BLOCK + within + bisect_right(self._last[1], within)


def _extended_size(body: memoryview, version: int) -> int:
    number = bytes(body[:4])
    size = 4 + int.from_bytes(number, "big") if version == 3 else from_syncsafe(number.rjust(4, b"\0"))
    if not 6 <= size <= len(body):
        raise TagReadError("the ID3 tag's extended header is damaged")
    return size


def _spans(body: memoryview, start: int, version: int) -> tuple[list[tuple[int, int]], int, bool]:
    spans, end, clean = _walk(body, start, version, wide=False)
    if version == 4 and not clean:
        others = _walk(body, start, version, wide=True)
        if others[2]:
            return others[0], others[1], True
    return spans, end, False


def _walk(body: memoryview, start: int, version: int, *, wide: bool) -> tuple[list[tuple[int, int]], int, bool]:
    """Return the spans of the frames, where they end, and whether nothing but padding follows."""
    head = 6 if version == 2 else 10
    spans: list[tuple[int, int]] = []
    while start + head <= len(body):
        header = bytes(body[start : start + head])
        if not _FRAME_ID[version].fullmatch(header[: head // 2 if version == 2 else 4]):
            break
        number = header[3:6] if version == 2 else header[4:8]
        if version == 4 and not wide and max(number) > 0x7F:
            break
        size = from_syncsafe(number) if version == 4 and not wide else int.from_bytes(number, "big")
        if start + head + size > len(body):
            break
        spans.append((start, start + head + size))
        check_count(len(spans), "ID3 frames")
        start += head + size
    return spans, start, _ZEROS.fullmatch(body, start) is not None


def _renewed(old: Tag, new: Tag) -> bytes:
    """Return the extended header of `new`, with updated checksum and padding size if they were right before."""
    plain = resync(old.extended) if old.whole_unsync else old.extended
    if old.version == 3 and len(plain) >= 10:
        if int.from_bytes(plain[6:10], "big") == old.padding:
            plain = plain[:6] + new.padding.to_bytes(4, "big") + plain[10:]
        if plain[4] & 0x80 and plain[10:14] == _crc(old).to_bytes(4, "big"):
            plain = plain[:10] + _crc(new).to_bytes(4, "big") + plain[14:]
    elif old.version == 4 and len(plain) >= 6 and plain[5] & 0x20:
        at = 6 + (1 if plain[5] & 0x40 else 0)
        if plain[at : at + 6] == b"\x05" + _crc35(old):
            plain = plain[:at] + b"\x05" + _crc35(new) + plain[at + 6 :]
    else:
        return old.extended
    return unsync(plain) if old.whole_unsync else plain


def _crc(tag: Tag) -> int:
    parts = [*tag.frames, tag.tail, bytes(tag.padding if tag.version == 4 else 0)]
    if tag.whole_unsync:
        return zlib.crc32(resync(b"".join(parts)))
    return functools.reduce(lambda crc, part: zlib.crc32(part, crc), parts, 0)


def _crc35(tag: Tag) -> bytes:
    crc = _crc(tag)
    return bytes((crc >> shift) & 0x7F for shift in (28, 21, 14, 7, 0))
