"""Compare a stream's stated number of samples, frames or packets, or its end mark, with what is there.

FLAC, Ogg, WavPack, Musepack, True Audio and MP3 (whose information frame counts the others).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio.flac_frames import find_flac, skip_metadata
from genrify_tagger.audio.mpeg import MpegStream, frame_offsets
from genrify_tagger.audio.source import Source

_UNKNOWN_END = Shortfall(None, None)
_PIPED = 0x7FFFFFFF
_TAIL = 1 << 22  # where the last block of a stream is looked for
_LARGEST_FRAME = 1 << 20  # of FLAC
_OGG_HEAD = 27
_OGG_END = 0x04
_WAVPACK = struct.Struct("<4sIHBBIIIII")
_WAVPACK_RATES = (6000, 8000, 9600, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000, 192000)
_UNKNOWN_SAMPLES = 0xFFFFFFFF
_MUSEPACK_RATES = (44100, 48000, 37800, 32000)
_MUSEPACK_FRAME = 1152  # samples
_TOLERATED = 2  # frames by which encoders' counts of an MP3 file differ
_TOLERATED_ALONE = 16  # if only the count of frames is stated, not that of bytes


def measure_flac(source: Source) -> Shortfall | None:
    """Compare STREAMINFO's number of samples with the last frame's; 0 means unknown."""
    packed = int.from_bytes(source.read(source.start + 18, 8), "big")
    rate, total = packed >> 44, packed & (1 << 36) - 1
    if not rate or not total:
        return None
    stream = find_flac(source)
    if stream is None:
        return Shortfall(0, total / rate) if skip_metadata(source) >= source.end else None
    if stream.samples < total:
        return Shortfall(stream.samples / rate, total / rate)
    return None if _has_end(source, stream.last) else _UNKNOWN_END


def _has_end(source: Source, frame: int) -> bool:
    """Return whether the last frame is there up to its checksum, whatever follows it."""
    crc = 0
    if source.end - frame > _LARGEST_FRAME:
        return True
    for number, byte in enumerate(source.read(frame, _LARGEST_FRAME)):
        crc = (crc << 8 & 0xFFFF) ^ _CRC16[crc >> 8 ^ byte]
        if not crc and number > 8:
            return True
    return False


def _crc16(byte: int) -> int:
    crc = byte << 8
    for _ in range(8):
        crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
    return crc


_CRC16 = [_crc16(byte) for byte in range(256)]


def measure_ogg(source: Source) -> Shortfall | None:
    """Look for the end-of-stream mark on the last page."""
    floor = max(source.start, source.end - _TAIL)
    tail = source.read(floor, source.end - floor)
    at = tail.rfind(b"OggS")
    while at >= 0:
        lacing = tail[at + _OGG_HEAD : at + _OGG_HEAD + tail[at + _OGG_HEAD - 1]] if len(tail) > at + _OGG_HEAD else b""
        if lacing and at + _OGG_HEAD + len(lacing) + sum(lacing) <= len(tail):
            return None if tail[at + 5] & _OGG_END else _UNKNOWN_END
        at = tail.rfind(b"OggS", 0, at)
    return None


def measure_wavpack(source: Source) -> Shortfall | None:
    """Compare the first block's number of samples with the last complete block's end."""
    first = source.read(source.start, _WAVPACK.size)
    if len(first) < _WAVPACK.size or _WAVPACK.unpack(first)[5] == _UNKNOWN_SAMPLES:
        return None
    total = _long(_WAVPACK.unpack(first)[5], _WAVPACK.unpack(first)[4])
    rate_index = _WAVPACK.unpack(first)[8] >> 23 & 15
    present = next(_wavpack_ends(source, first), 0)
    if present >= total:
        return None
    if rate_index >= len(_WAVPACK_RATES):
        return _UNKNOWN_END
    return Shortfall(present / _WAVPACK_RATES[rate_index], total / _WAVPACK_RATES[rate_index])


def _wavpack_ends(source: Source, first: bytes) -> Iterator[int]:
    """Yield the sample after each complete block with samples, from the last one backwards."""
    floor = max(source.start, source.end - _TAIL)
    tail = source.read(floor, source.end - floor)
    at = tail.rfind(b"wvpk")
    while at >= 0:
        head = tail[at : at + _WAVPACK.size]
        if len(head) == _WAVPACK.size and head[8:10] == first[8:10]:
            _, size, _, index_high, _, _, index, samples, _, _ = _WAVPACK.unpack(head)
            if samples and at + 8 + size <= len(tail):
                yield _long(index, index_high) + samples
        at = tail.rfind(b"wvpk", 0, at)


def _long(low: int, high: int) -> int:
    return low + (high << 32)


def measure_musepack8(source: Source) -> Shortfall | None:
    """Look for the packet that ends a stream of version 8, and count the audio packets before it."""
    total = rate = per_packet = packets = 0
    for name, at, size in _musepack_packets(source):
        if name == b"\0\0":  # allocated for the rest
            break
        if name == b"SE" or not name.isalpha() or not name.isupper():
            return None  # the end, or damage after which nothing is known
        if at + size > source.end:
            break
        if name == b"SH":
            total, rate, per_packet = _musepack_header(source.read(at + 5, 32))
        packets += name == b"AP"
    return Shortfall(min(packets * per_packet, total) / rate, total / rate) if rate else _UNKNOWN_END


def _musepack_packets(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """Yield key, position of the content and its stated size of each packet."""
    at = source.start + 4
    while len(head := source.read(at, 12)) > 2:
        size, length = _variable(head[2:])
        yield head[:2], at + 2 + length, size - 2 - length
        at += max(size, 3)


def _musepack_header(head: bytes) -> tuple[int, int, int]:
    """Return number of samples, sample rate, and samples in a packet."""
    total, at = _variable(head)
    at += _variable(head[at:])[1]
    return total, _MUSEPACK_RATES[head[at] >> 5 & 3], _MUSEPACK_FRAME << 2 * (head[at + 1] & 7)


def _variable(data: bytes) -> tuple[int, int]:
    """Return a number of seven bits a byte, and how many bytes it takes."""
    number = 0
    for length, byte in enumerate(data, start=1):
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number, length
    return number, len(data)


def measure_musepack7(source: Source) -> Shortfall | None:
    """Follow the frames of a stream of version 7 by the size in bits in front of each frame."""
    head = source.read(source.start, 12)
    if len(head) < 12 or head[3] & 0x0F != 7:
        return None
    frames, rate = int.from_bytes(head[4:8], "little"), _MUSEPACK_RATES[head[10] & 3]
    bit = 8  # from the seventh word on
    for number in range(frames):
        at = source.start + 24 + bit // 32 * 4
        words = source.read(at, 8)
        size = _bits(words.ljust(8, b"\0"), bit % 32)
        bit += 20 + size
        if source.start + 24 + (bit + 31) // 32 * 4 > source.end + 3:
            return Shortfall(number * _MUSEPACK_FRAME / rate, frames * _MUSEPACK_FRAME / rate)
    return None


def _bits(words: bytes, bit: int) -> int:
    """Return the 20 bits from `bit` on in two words, each with its highest bit first."""
    number = int.from_bytes(words[:4], "little") << 32 | int.from_bytes(words[4:], "little")
    return number >> (44 - bit) & 0xFFFFF


def measure_tta(source: Source) -> Shortfall | None:
    """Compare the frame sizes in a True Audio file's seek table with the file's size."""
    head = source.read(source.start, 22)
    if len(head) < 22:
        return None
    rate, total = struct.unpack("<II", head[10:18])
    per_frame = 256 * rate // 245
    if not per_frame or not total:
        return None
    count = -(-total // per_frame)
    table = source.read(source.start + 22, 4 * count)
    end = source.start + 22 + 4 * count + 4
    for number in range(count):
        end += int.from_bytes(table[4 * number : 4 * number + 4], "little")
        if end > source.end or len(table) < 4 * number + 4:
            return Shortfall(number * per_frame / rate, total / rate)
    return None


def measure_mpeg(source: Source, stream: MpegStream) -> Shortfall | None:
    """Compare what an MP3 file's information frame (Xing, Info, VBRI) counts with what is there.

    Such counts are off by some frames in many whole files, so bytes and frames must both be missing.
    """
    if not stream.information:
        return None
    size, frames = _information(stream.information)
    if not frames or frames >= _PIPED:
        return None
    if size and source.end - (stream.first - len(stream.information)) >= size:
        return None
    offsets = frame_offsets(source, stream)
    present = len(offsets)
    tolerated = _TOLERATED_ALONE if not size else 0 if _ends_in_frame(source, stream, offsets) else _TOLERATED
    if frames - present <= tolerated:
        return None
    seconds = stream.samples / stream.sample_rate
    return Shortfall(present * seconds, frames * seconds)


def _ends_in_frame(source: Source, stream: MpegStream, offsets: Sequence[int]) -> bool:
    """Return whether a frame begins after the last complete one."""
    if not offsets:
        return True
    last = offsets[-1]
    return source.read(last + stream.lengths[source.read(last, 3)], 3) in stream.lengths


def _information(frame: bytes) -> tuple[int, int]:
    """Return the number of bytes and of frames in an information frame; 0 if it has none."""
    at = frame.find(b"VBRI", 4, 48)
    if at > 0:
        size, frames = struct.unpack(">II", frame[at + 10 : at + 18].ljust(8, b"\0"))
        return size, frames
    at = max(frame.find(b"Xing", 4, 48), frame.find(b"Info", 4, 48))
    flags, *fields = struct.unpack(">III", frame[at + 4 : at + 16].ljust(12, b"\0"))
    frames = fields.pop(0) if flags & 1 else 0
    size = fields.pop(0) if flags & 2 else 0
    return size, frames
