"""Native FLAC: the position of the frames, and the true number of samples.

STREAMINFO's total may be missing (streaming encoders) or wrong (a truncated file), so the last frame's header is read
instead. Format: RFC 9639.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from genrify_tagger.audio.source import Source

_TAILS = (1 << 16, 1 << 20, 1 << 23)
_BLOCK_SIZES = {1: 192, **{n: 576 << (n - 2) for n in range(2, 6)}, **{n: 256 << (n - 8) for n in range(8, 16)}}


@dataclass(frozen=True)
class FlacStream:
    """Properties from STREAMINFO and the frames.

    Attributes
    ----------
    sample_rate, channels : int
    first, last : int
        File positions of the first and the last frame.
    samples : int
        Samples in all frames.
    """

    sample_rate: int
    channels: int
    first: int
    last: int
    samples: int


@dataclass(frozen=True)
class _Frame:
    sample: int
    block_size: int
    position: int = 0

    @property
    def end(self) -> int:
        return self.sample + self.block_size


def find_flac(source: Source) -> FlacStream | None:
    """Read the properties of a native FLAC file; None if it is not one, or its frames cannot be counted this way."""
    info = source.read(source.start, 42)
    if not info.startswith(b"fLaC") or len(info) < 42 or info[4] & 0x7F:
        return None
    first = skip_metadata(source)
    block_size = int.from_bytes(info[8:10], "big")  # the minimum: that of all frames but the last, if fixed
    head = source.read(first, 32)
    packed = int.from_bytes(info[18:22], "big")
    begin = _parse(head, block_size)
    if begin is None or not packed >> 12:
        return None
    last = _last_frame(source, first, head[:2], block_size)
    if last is None:
        return None
    return FlacStream(packed >> 12, (packed >> 9 & 7) + 1, first, last.position, last.end - begin.sample)


def skip_metadata(source: Source) -> int:
    """Return the file position of the first frame, which may be beyond the end of a file that was cut."""
    at = source.start + 4
    while len(header := source.read(at, 4)) == 4:
        at += 4 + int.from_bytes(header[1:], "big")
        if header[0] & 0x80:
            break
    return at


def _last_frame(source: Source, first: int, word: bytes, block_size: int) -> _Frame | None:
    """Find the last frame's header: one that continues the frame before it, or is the only one."""
    for size in _TAILS:
        floor = max(first, source.end - size)
        tail = source.read(floor, size)
        following: list[_Frame] = []
        at = tail.rfind(word)
        while at >= 0:
            frame = _parse(tail[at : at + 32], block_size)
            if frame:
                frame = replace(frame, position=floor + at)
                confirmed = next((later for later in following if later.sample == frame.end), None)
                if confirmed:
                    return confirmed
                following.append(frame)
            at = tail.rfind(word, 0, at + 1)
        if floor == first:
            return following[0] if len(following) == 1 else None
    return None


def _parse(head: bytes, fixed_block_size: int) -> _Frame | None:
    """Parse a frame header and check its CRC-8."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    size_code, rate_code = head[2] >> 4, head[2] & 0x0F
    number, at = _coded_number(head)
    if number is None or not size_code or rate_code == 15:
        return None
    size_bytes = {6: 1, 7: 2}.get(size_code, 0)
    block_size = int.from_bytes(head[at : at + size_bytes], "big") + 1 if size_bytes else _BLOCK_SIZES[size_code]
    at += size_bytes + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return _Frame(number if head[1] & 1 else number * fixed_block_size, block_size)


def _coded_number(head: bytes) -> tuple[int | None, int]:
    """Decode the frame or sample number, coded like UTF-8 of up to 7 bytes; return it and where it ends."""
    lead = head[4]
    if lead < 0x80:
        return lead, 5
    length = 8 - (lead ^ 0xFF).bit_length()
    more = head[5 : 4 + length]
    if not 2 <= length <= 7 or len(more) < length - 1 or any(byte & 0xC0 != 0x80 for byte in more):
        return None, 0
    number = lead & (0x7F >> length)
    for byte in more:
        number = number << 6 | byte & 0x3F
    return number, 4 + length


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
    return crc
