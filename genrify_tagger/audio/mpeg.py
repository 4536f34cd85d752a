"""MPEG audio (layers 1 to 3) frame by frame, without a demuxer.

An MP3 file is little more than a sequence of frames, so that durations and positions can be counted. That is exact
where headers are not: variable bit rate without a Xing header, a truncated file with one, tags at the end.
Frame headers: ISO/IEC 11172-3 and 13818-3; the Xing and VBRI information frames contain no audio and are left out.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from genrify_tagger.audio.source import Source

_WINDOW = 1 << 16  # in which the first frame is searched
_CHUNK = 1 << 20
_CHAIN = 4  # consecutive frames that make a coincidence unlikely
_KBITS = {  # (MPEG 1?, layer) -> bit rates by index
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # MPEG 1, 2 and 2.5, by their header bits


@dataclass(frozen=True)
class MpegStream:
    """A sequence of frames.

    Attributes
    ----------
    layer, sample_rate, channels : int
    samples : int
        Samples in one frame.
    first : int
        File position of the first frame with audio.
    lengths : dict
        The first three bytes a frame of this stream may have, to its length in bytes.
    information : bytes
        The frame before, if it is a Xing, Info or VBRI frame; else empty.
    clean : bool
        Whether there are only zeros before the first frame.
    """

    layer: int
    sample_rate: int
    channels: int
    samples: int
    first: int
    lengths: dict[bytes, int]
    information: bytes
    clean: bool


def find_mpeg(source: Source) -> MpegStream | None:
    """Find the first frame of an MPEG audio stream; None if there is none near the beginning."""
    data = source.read(source.start, _WINDOW)
    at = data.find(b"\xff")
    while at >= 0:
        stream = _stream_at(data, at, source)
        if stream:
            return stream
        at = data.find(b"\xff", at + 1)
    return None


def frame_offsets(source: Source, stream: MpegStream) -> array[int]:
    """Return the file positions of all complete frames, skipping damaged parts."""
    offsets = array("Q")  # a third of a list's memory, which matters for a mix of many hours
    base, lengths = stream.first, stream.lengths
    while len(data := source.read(base, _CHUNK)) > 3:
        at, final = 0, base + len(data) >= source.end
        limit = len(data) - 3 if final else len(data) - 2 * max(lengths.values())
        while 0 <= at < limit:
            length = lengths.get(data[at : at + 3])
            if length:
                offsets.append(base + at)
                at += length
            else:
                at = _resync(data, at + 1, lengths)
        base += at if at >= 0 else limit
    if offsets and offsets[-1] + lengths[source.read(offsets[-1], 3)] > source.end:
        offsets.pop()
    return offsets


def _stream_at(data: bytes, at: int, source: Source) -> MpegStream | None:
    header = data[at : at + 4]
    if len(header) < 4 or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate_index = header[2] >> 2 & 3
    if version == 1 or layer == 4 or rate_index == 3:
        return None
    sample_rate = _RATES[rate_index] // _RATE_DIVISORS[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    lengths = _frame_lengths(header, mpeg1=version == 3, layer=layer, sample_rate=sample_rate, samples=samples)
    if not _is_chain(data, at, lengths, ends=source.end - source.start <= len(data)):
        return None
    information = data[at : at + lengths[header[:3]]] if _is_information(data[at : at + 44]) else b""
    return MpegStream(
        layer=layer,
        sample_rate=sample_rate,
        channels=1 if header[3] >> 6 == 3 else 2,
        samples=samples,
        first=source.start + at + len(information),
        lengths=lengths,
        information=information,
        clean=not data[:at].strip(b"\0"),
    )


def _frame_lengths(header: bytes, *, mpeg1: bool, layer: int, sample_rate: int, samples: int) -> dict[bytes, int]:
    """Return every beginning that a frame of the same version, layer and rate may have, and its length."""
    slot = 4 if layer == 1 else 1
    lengths = {}
    for index, kbits in enumerate(_KBITS[mpeg1, layer], start=1):
        for low_bits in range(4):  # padding and private bit
            third = index << 4 | header[2] & 0x0C | low_bits
            length = (samples * kbits * 125 // sample_rate // slot + (low_bits >> 1)) * slot
            lengths[bytes((0xFF, header[1] | 1, third))] = length
            lengths[bytes((0xFF, header[1] & 0xFE, third))] = length
    return lengths


def _is_chain(data: bytes, at: int, lengths: dict[bytes, int], *, ends: bool) -> bool:
    begin = at
    for count in range(_CHAIN):
        length = lengths.get(data[at : at + 3])
        if not length:
            # a file of few frames, which must fill it
            return ends and at >= len(data) - 3 and (count > 1 or (count == 1 and begin == 0))
        at += length
    return True


def _resync(data: bytes, at: int, lengths: dict[bytes, int]) -> int:
    """Return where the next two frames in a row begin, or -1."""
    while (at := data.find(b"\xff", at)) >= 0:
        length = lengths.get(data[at : at + 3])
        if length and lengths.get(data[at + length : at + length + 3]):
            return at
        at += 1
    return -1


def _is_information(head: bytes) -> bool:
    return any(head.find(name, 4) > 0 for name in (b"Xing", b"Info", b"VBRI"))
