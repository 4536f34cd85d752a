"""Ogg pages: digest the audio packets, which no tag editor changes.

A tag editor rewrites the comment header, and thereby the numbers and checksums of all pages, but never the bodies of
the pages after the headers. Format: RFC 3533.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from genrify_tagger.audio.source import Source

_PAGE = struct.Struct("<4sBBqIII")  # capture pattern, version, flags, granule, serial, number, checksum
_HEAD = _PAGE.size + 1
_FIRST_PAGE = 0x02
_CHUNK = 1 << 20
_LARGEST = _HEAD + 255 + 255 * 255


def update_digest(source: Source, update: Callable[[memoryview], object]) -> bool:
    """Feed the audio packets' bytes to `update`.

    Returns
    -------
    bool
        False if the file is anything but one plain stream of a known codec (chained streams, a film); then the bytes
        passed to `update` are meaningless.
    """
    pages = _pages(source)
    flags, serial, _, ident = next(pages, (0, 0, b"", memoryview(b"")))
    headers = _header_packets(bytes(ident)) - 1
    if not flags & _FIRST_PAGE or headers < 0:
        return False
    for flags, page_serial, lacing, body in pages:
        if page_serial != serial or flags & _FIRST_PAGE:
            return False
        skip = 0
        if headers:
            for size in lacing:
                skip += size
                headers -= size < 255
                if not headers:
                    break
        update(body[skip:])
    return not headers


def _pages(source: Source) -> Iterator[tuple[int, int, bytes, memoryview]]:
    """Yield flags, serial number, lacing values and body of each complete page; anything between is skipped."""
    base = source.start
    while len(data := source.read(base, _CHUNK)) >= _HEAD:
        view, at = memoryview(data), 0
        limit = len(data) - (_HEAD if base + len(data) >= source.end else _LARGEST)
        while 0 <= at <= limit:
            pattern, _, flags, _, serial, _, _ = _PAGE.unpack_from(data, at)
            lacing = data[at + _HEAD : at + _HEAD + data[at + _PAGE.size]]
            body = at + _HEAD + len(lacing)
            end = body + sum(lacing)
            if pattern != b"OggS" or end > len(data):
                at = data.find(b"OggS", at + 1)
                continue
            yield flags, serial, lacing, view[body:end]
            at = end
        if at < 0:
            at = max(1, len(data) - 3)
        base += at


def _header_packets(ident: bytes) -> int:
    """Return how many packets come before the audio, by the codec's first one; 0 if unknown."""
    if ident.startswith(b"\x01vorbis"):
        return 3
    if ident.startswith(b"OpusHead"):
        return 2
    if ident.startswith(b"\x7fFLAC") and len(ident) >= 9:
        more = int.from_bytes(ident[7:9], "big")
        return 1 + more if more else 0
    if ident.startswith(b"Speex   ") and len(ident) >= 72:
        return 2 + int.from_bytes(ident[68:72], "little")
    return 0
