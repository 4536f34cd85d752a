"""Ogg pages taken apart and put together by hand.

References
----------
RFC 3533 (Ogg); Vorbis I specification, section 5 (comment header); RFC 7845 (Opus in Ogg).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_HEAD = struct.Struct("<4sBBqIIIB")
MARKS = (b"\x03vorbis", b"OpusTags")  # what a comment packet begins with; Speex and FLAC have none


@dataclass(frozen=True)
class Page:
    version: int
    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes

    def __bytes__(self) -> bytes:
        def head(crc: int) -> bytes:
            fields = (self.version, self.flags, self.granule, self.serial, self.sequence, crc, len(self.lacing))
            return _HEAD.pack(b"OggS", *fields) + self.lacing

        return head(checksum(head(0) + self.body)) + self.body


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(data: bytes) -> int:
    """Return Ogg's CRC: zlib's, with the bits the other way round, and neither preset nor inverted."""
    crc = zlib.crc32(data.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)


def pages(data: bytes, *, check: bool = True) -> Iterator[Page]:
    """Take a file apart; every byte must belong to a page with the right checksum."""
    at = 0
    while at < len(data):
        magic, version, flags, granule, serial, sequence, crc, count = _HEAD.unpack_from(data, at)
        assert magic == b"OggS", f"no page at {at}"
        lacing = data[at + 27 : at + 27 + count]
        end = at + 27 + count + sum(lacing)
        page = Page(version, flags, granule, serial, sequence, lacing, data[at + 27 + count : end])
        assert end <= len(data), "cut off page"
        assert not check or bytes(page)[22:26] == crc.to_bytes(4, "little"), f"wrong checksum at {at}"
        yield page
        at = end


@dataclass(frozen=True)
class Packet:
    """A packet, and what its last page says of it."""

    serial: int
    data: bytes
    granule: int | None


def packets(data: bytes) -> list[Packet]:
    """Return all packets in the order in which they end, with the granule position of the page each is the last of."""
    found: list[Packet] = []
    open_: dict[int, bytes] = {}
    for page in pages(data):
        at, done = 0, []
        piece = open_.pop(page.serial, b"")
        for size in page.lacing:
            piece += page.body[at : at + size]
            at += size
            if size < 255:
                done.append(piece)
                piece = b""
        if page.lacing and page.lacing[-1] == 255:
            open_[page.serial] = piece
        found += [Packet(page.serial, packet, None) for packet in done[:-1]]
        found += [Packet(page.serial, packet, page.granule) for packet in done[-1:]]
    return found


def sequences(data: bytes) -> dict[int, list[int]]:
    """Return the page numbers of each logical stream, in file order."""
    found: dict[int, list[int]] = {}
    for page in pages(data, check=False):
        found.setdefault(page.serial, []).append(page.sequence)
    return found


def paged(packets: Sequence[bytes], serial: int, *, first: int, flags: int = 0, granule: int = 0) -> list[Page]:
    """Lay packets out on as few pages as possible, numbered from `first`."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets)
    body, made, open_, at = b"".join(packets), [], False, 0
    for start in range(0, len(lacing), 255):
        part = lacing[start : start + 255]
        end = at + sum(part)
        ends = any(byte < 255 for byte in part)
        made.append(Page(0, flags | open_, granule if ends else -1, serial, first + len(made), part, body[at:end]))
        at, open_ = end, part[-1] == 255
    return made


def with_comment(data: bytes, comment: bytes, *, own_page: bool = False) -> bytes:
    """Return an Ogg file of one stream with another second packet; what follows the headers keeps its pages."""
    all_pages = list(pages(data))
    first, rest = all_pages[0], all_pages[1:]
    headers: list[bytes] = []
    piece = b""
    while True:  # the header packets end with a page, in every mapping
        page, at = rest.pop(0), 0
        for size in page.lacing:
            piece += page.body[at : at + size]
            at += size
            if size < 255:
                headers.append(piece)
                piece = b""
        if not piece and (not rest or rest[0].granule > 0):
            break
    groups = [[comment], headers[1:]] if own_page else [[comment, *headers[1:]]]
    made = [first]
    for group in filter(None, groups):
        made += paged(group, first.serial, first=len(made))
    made += [replace(page, sequence=len(made) + index) for index, page in enumerate(rest)]
    return b"".join(map(bytes, made))
