"""MP4 files state the sizes of their atoms, of their samples, and, if they are fragmented, of their segments.

Format: ISO/IEC 14496-12.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio.source import Source
from genrify_tagger.audio.stated_sizes import UNKNOWN_END, share_of

MP4_ATOMS = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"}
_LARGEST_MOOV = 1 << 26
_MOST = 100_000  # atoms: a damaged file may seem to have millions


def measure_mp4(source: Source) -> Shortfall | None:
    """Compare the sizes of an MP4 file's outermost atoms with the file's, or its sample table where they tell nothing.

    A file without `moov` whose samples have begun is a download that has not come to it yet.
    """
    names: set[bytes] = set()
    duration = 0.0
    for name, at, size in _atoms(source):
        if name == b"moov":
            duration = _mp4_duration(source.read(at, 1 << 12))
        elif name == b"sidx" and name not in names and (missing := _missing_segments(source, at, size)):
            return missing
        names.add(name)
        if name in (b"moov", b"mdat", b"moof") and at + size > source.end:
            return share_of((source.end - at) / size, duration) if name == b"mdat" and duration else UNKNOWN_END
    if b"mdat" in names and not names & {b"moov", b"moof"}:
        return UNKNOWN_END
    return _missing_samples(source, duration)


def mp4_data(source: Source) -> tuple[int, int]:
    """Return where an MP4 file's compressed audio begins and ends: from the first piece on, or the largest one."""
    atoms = list(_atoms(source))
    pieces = [(size, at) for name, at, size in atoms if name == b"mdat"]
    if not pieces:
        return source.start, source.end
    if any(name == b"moof" for name, _, _ in atoms):
        return pieces[0][1], source.end
    moov = next((source.read(at, min(size, _LARGEST_MOOV)) for name, at, size in atoms if name == b"moov"), b"")
    if _has_equal_samples(moov):  # not compressed
        return source.end, source.end
    size, at = max(pieces)
    return at, min(at + size, source.end)


def _has_equal_samples(moov: bytes) -> bool:
    at = moov.find(b"stsz")
    return at > 0 and any(moov[at + 8 : at + 12])


def _atoms(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the content and its stated size of each outermost atom."""
    at = source.start
    for _ in range(_MOST):
        head = source.read(at, 16)
        if len(head) < 8:
            return
        size, name = struct.unpack(">I4s", head[:8])
        header = 16 if size == 1 else 8
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        elif size == 0:  # up to the end of the file
            size = source.end - at
        if size < header:
            return
        yield name, at + header, size - header
        at += size


def _mp4_duration(moov: bytes) -> float:
    at = moov.find(b"mvhd")
    if at < 0 or len(moov) < at + 36:
        return 0.0
    fields, offset = (">IQ", 24) if moov[at + 4] else (">II", 16)
    scale, duration = struct.unpack_from(fields, moov, at + offset)
    return duration / scale if scale else 0.0


def _missing_segments(source: Source, at: int, size: int) -> Shortfall | None:
    """Compare what a segment index, which stands before all of the segments, says of them with the file's size."""
    head = source.read(at, 36)
    wide = 8 if head[:1] == b"\1" else 4
    (scale,) = struct.unpack_from(">I", head, 8)
    first = int.from_bytes(head[12 + wide : 12 + 2 * wide], "big")
    (count,) = struct.unpack_from(">H", head, 14 + 2 * wide)
    entries = list(struct.iter_unpack(">III", source.read(at + 16 + 2 * wide, 12 * count)))
    if count < 2 or len(entries) < count or not scale or any(length >> 31 for length, _, _ in entries):
        return None  # the index of a single fragment, or one of other indexes
    end, present = at + size + first, 0
    for length, ticks, _ in entries:
        end += length
        present += ticks if end <= source.end else 0
    return Shortfall(present / scale, sum(ticks for _, ticks, _ in entries) / scale) if end > source.end else None


def _missing_samples(source: Source, duration: float) -> Shortfall | None:
    """Look for samples beyond the file's end: an atom that goes up to the end states no size."""
    for name, at, size in _atoms(source):
        if name == b"moov":
            moov = source.read(at, min(size, _LARGEST_MOOV))
            offsets = _table(moov, b"stco" + bytes(4))
            sizes = _table(moov, b"stsz" + bytes(8))  # samples of different sizes
            if offsets and sizes and source.end < max(offsets[-1], min(offsets) + sum(sizes)):
                return share_of(max(0, source.end - min(offsets)) / sum(sizes), duration)
    return None


def _table(moov: bytes, head: bytes) -> tuple[int, ...]:
    """Return the numbers of the first table that begins like this; () if there is none."""
    start = moov.find(head) + len(head)
    if start < len(head):
        return ()
    count = min(int.from_bytes(moov[start : start + 4], "big"), (len(moov) - start - 4) // 4)
    return struct.unpack_from(f">{count}I", moov, start + 4)
