"""Compare the stated size of the audio in bytes with what is there: WAV, AIFF, DSF, ASF and Monkey's Audio.

Sizes that mean "unknown" are those of containers written to a pipe: 0, or the largest that fit.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio.source import Source

UNKNOWN_END = Shortfall(None, None)

_PIPED = 0x7FFFF000  # from here on, a size of 32 bits stands for an unknown one: sox, FFmpeg, LAME and arecord differ
_MOST = 100_000  # chunks: a damaged file may seem to have millions
_PCM = (b"\1\0", b"\3\0", b"\xfe\xff")
_AIFF_PCM = {b"", b"NONE", b"sowt", b"twos", b"raw ", b"in24", b"in32", b"fl32", b"FL32", b"fl64", b"FL64"}
_SLACK = 0.01  # seconds: some writers count their own header as audio
_WAV_CHUNKS = {b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"fact", b"PEAK", b"iXML", b"JUNK", b"smpl", b"inst"}
_AIFF_CHUNKS = {b"COMM", b"ID3 ", b"NAME", b"AUTH", b"ANNO", b"COMT", b"MARK", b"INST", b"APPL", b"CHAN"}
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_BROADCAST = 1
_APE_PEAK, _APE_SEEK_COUNT, _APE_NO_WAV_HEADER = 4, 16, 32


@dataclass(frozen=True)
class PcmData:
    """The chunk of samples: where it is, the size that it states (0: unknown), and bytes a second (0: unknown)."""

    start: int
    end: int
    stated: int
    rate: float

    @property
    def shortfall(self) -> Shortfall | None:
        """How much of it is there; None if all is."""
        present = self.end - self.start
        if self.stated - present <= _SLACK * self.rate:
            return None
        return Shortfall(present / self.rate, self.stated / self.rate) if self.rate else UNKNOWN_END


def measure_wav(source: Source) -> Shortfall | None:
    """Compare the sizes of a WAV file's chunks with the file's."""
    return _measure_chunks(source, _WAV_CHUNKS)


def measure_aiff(source: Source) -> Shortfall | None:
    """Compare the sizes of an AIFF file's chunks with the file's."""
    return _measure_chunks(source, _AIFF_CHUNKS)


def pcm_data(source: Source) -> PcmData | None:
    """Return the chunk of samples of a WAV or AIFF file; None if there is none."""
    whole = _whole(source)
    rate, long_size = 0.0, 0
    data: PcmData | None = None
    for name, at, size in _chunks(whole):
        if name == b"fmt ":
            rate = _wav_rate(whole.read(at, 16))
        elif name == b"ds64":
            long_size = int.from_bytes(whole.read(at + 8, 8), "little")
        elif name == b"COMM":
            rate = _aiff_rate(whole.read(at, min(size, 22)))
        elif name in (b"data", b"SSND"):
            stated = long_size if whole.read(whole.start, 4) == b"RF64" else size if size < _PIPED else 0
            data = PcmData(at, min(at + stated, whole.end), stated, rate)
    return replace(data, rate=rate) if data else None


def whole_pcm(source: Source) -> tuple[int, int] | None:
    """Return where the samples of a WAV or AIFF file are; None unless one chunk has them all, of a stated size."""
    wave = source.read(source.start, 12)
    if (wave[:4], wave[8:]) not in ((b"RIFF", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
        return None
    chunks = [(name, at, size) for name, at, size in _chunks(source) if name in (b"data", b"SSND")]
    if len(chunks) != 1 or chunks[0][2] >= _PIPED:
        return None
    name, start, size = chunks[0]
    end = start + size
    if name == b"SSND":
        start += 8 + int.from_bytes(source.read(start, 4), "big")
    return (start, end) if start < end <= source.end else None


def _measure_chunks(source: Source, known: set[bytes]) -> Shortfall | None:
    data = pcm_data(source)
    if data is not None and data.shortfall:
        return data.shortfall
    whole = _whole(source)
    stated = _riff_size(whole)
    cut = any(name in known and at + size > whole.end for name, at, size in _chunks(whole))
    return UNKNOWN_END if cut and whole.end < stated < _PIPED else None


def _wav_rate(format_: bytes) -> float:
    """Return bytes per second; 0 for compressed formats, where the field is unreliable."""
    return float(int.from_bytes(format_[8:12], "little")) if format_[:2] in _PCM else 0.0


def _aiff_rate(common: bytes) -> float:
    """Return bytes per second; 0 for a compressed format."""
    if len(common) < 18 or common[18:22] not in _AIFF_PCM:
        return 0.0
    channels, _, bits = struct.unpack(">hLh", common[:8])
    exponent = int.from_bytes(common[8:10], "big") & 0x7FFF
    return float(channels * ((bits + 7) // 8) * int.from_bytes(common[10:18], "big") * 2.0 ** (exponent - 16446))


def _whole(source: Source) -> Source:
    """Return the file with the tags after the audio, which are chunks here."""
    return replace(source, end=os.fstat(source.fd).st_size)


def _order(source: Source) -> str:
    return ">" if source.read(source.start, 4) == b"FORM" else "<"


def _riff_size(source: Source) -> int:
    """Return the length of the file as stated by its first header."""
    (size,) = struct.unpack(f"{_order(source)}4xI", source.read(source.start, 8))
    return int(size) + 8


def _chunks(source: Source) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position of the content and stated size of each chunk, the last perhaps beyond the file's end."""
    header = struct.Struct(f"{_order(source)}4sI")
    at = source.start + 12
    for _ in range(_MOST):
        head = source.read(at, 8)
        if len(head) < 8:
            return
        name, size = header.unpack(head)
        yield name, at + 8, size
        at += 8 + size + size % 2


def measure_dsf(source: Source) -> Shortfall | None:
    """Compare the size of a DSF file's data with the file's."""
    head = source.read(source.start, 80)
    if len(head) < 80:
        return UNKNOWN_END
    (format_size,) = struct.unpack("<Q", head[32:40])
    rate, _, samples = struct.unpack("<IIQ", head[56:72])
    data = source.start + 28 + format_size
    name, size = struct.unpack("<4sQ", source.read(data, 12).ljust(12, b"\0"))
    present = source.end - data
    if name != b"data" or size <= 12 or present >= size:
        return None
    return share_of(max(0, present - 12) / (size - 12), samples / rate if rate else 0)


def measure_asf(source: Source) -> Shortfall | None:
    """Compare the number of an ASF file's packets with those that are there; a broadcast states none."""
    header = source.read(source.start, 30)
    data = source.start + int.from_bytes(header[16:24], "little")
    properties = source.read(source.start, min(data - source.start, 1 << 20))
    at = properties.find(_ASF_FILE)
    if at < 0 or len(properties) < at + 100:
        return UNKNOWN_END if source.end < data else None
    play, _, preroll, flags, _, packet_size = struct.unpack("<QQQIII", properties[at + 64 : at + 100])
    head = source.read(data, 50)
    if len(head) < 50:
        return UNKNOWN_END
    (packets,) = struct.unpack("<Q", head[40:48])
    if flags & _BROADCAST or head[:16] != _ASF_DATA or not packets or not packet_size:
        return None
    present = (source.end - data - 50) // packet_size
    return None if present >= packets else share_of(present / packets, play / 1e7 - preroll / 1000)


def measure_monkeys_audio(source: Source) -> Shortfall | None:
    """Compare the size of a Monkey's Audio file's frames with the file's."""
    head = source.read(source.start, 52)
    if len(head) < 52 or int.from_bytes(head[4:6], "little") < 3980:
        return _measure_old_monkeys_audio(source, head)
    sizes = struct.unpack("<6I", head[8:32])
    first = source.start + sum(sizes[:4])
    stated = sizes[4] + (sizes[5] << 32)
    present = source.end - first
    format_ = source.read(source.start + sizes[0], 24)
    if len(format_) < 24:
        return UNKNOWN_END
    blocks, last, frames, _, _, rate = struct.unpack("<IIIHHI", format_[4:24])
    if present >= stated or not rate or not frames:
        return None
    return share_of(max(0, present) / stated, ((frames - 1) * blocks + last) / rate)


def _measure_old_monkeys_audio(source: Source, head: bytes) -> Shortfall | None:
    """Look for frames that begin beyond the file's end; before version 3.98 their size is not stated."""
    if len(head) < 32:
        return None
    version, level, flags, _, rate, wav_header, _, frames = struct.unpack("<HHHHIIII", head[4:28])
    table = source.start + 32 + (4 if flags & _APE_PEAK else 0) + (4 if flags & _APE_SEEK_COUNT else 0)
    table += 0 if flags & _APE_NO_WAV_HEADER else wav_header
    positions = source.read(table, 4 * frames)
    there = [
        at for (at,) in struct.iter_unpack("<I", positions[: len(positions) // 4 * 4]) if at < source.end - source.start
    ]
    if len(there) >= frames or not rate:
        return None
    return share_of(max(0, len(there) - 1) / frames, frames * _old_ape_frame(version, level) / rate)


def _old_ape_frame(version: int, level: int) -> int:
    """Return the number of samples in a frame, by version and compression level."""
    if version >= 3950:
        return 73728 * 4
    return 73728 if version >= 3900 or (version >= 3800 and level >= 4000) else 9216


def share_of(share: float, duration: float) -> Shortfall:
    """Return the shortfall of a file of which this share is there; `duration` is 0 if it is unknown."""
    return Shortfall(share * duration, duration) if duration > 0 else UNKNOWN_END
