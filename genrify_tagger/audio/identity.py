"""The audio key, a hash of the audio that no tag editor changes, and the true duration of a file."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import zip_longest

import numpy as np

from genrify_tagger.analysis import Sound
from genrify_tagger.audio import ogg_packets
from genrify_tagger.audio.completeness import measure_shortfall
from genrify_tagger.audio.demuxer import Demuxer, open_audio
from genrify_tagger.audio.flac_frames import FlacStream, find_flac
from genrify_tagger.audio.mpeg import MpegStream, frame_offsets
from genrify_tagger.audio.source import Source, open_source
from genrify_tagger.audio.stated_sizes import whole_pcm
from genrify_tagger.errors import DecodeError

KEY_VERSION = 1
_LARGE = 10 << 20  # bytes of an MP4 file, below which reading two sample tables takes longer than computing a key
_PCM = re.compile(r"pcm_[suf](8|16|24|32|64)(?:le|be)?")

Parameters = tuple[str, int, int]  # codec, sample rate, channels
Ranges = list[tuple[int, int]]  # file positions


def probe(path: str) -> Sound:
    """Compute the audio key and duration of a file in one pass, without decoding.

    Parameters
    ----------
    path : str

    Returns
    -------
    Sound

    Raises
    ------
    DecodeError
        If there is no audio in the file, or it cannot be read.
    """
    with open_source(path) as source:
        return replace(_identify(source), shortfall=measure_shortfall(source))


def audio_key(path: str) -> str:
    """Return the audio key of a file; if it is equal before and after a write, the audio is unchanged.

    Raises
    ------
    DecodeError
        If there is no audio in the file, or it cannot be read.
    """
    with open_source(path) as source:
        return _identify(source).key


def has_audio_of(path: str, former: str, key: str) -> bool:
    """Tell whether a file has the same audio as another one, whose audio key is `key`.

    Both are located anew and compared byte by byte, which takes a tenth of the time of computing the key. Where the
    audio is not a few ranges of the file, the key is computed.

    Raises
    ------
    DecodeError
        If there is no audio in one of them, or it cannot be read.
    """
    with open_source(path) as source, open_source(former) as other:
        found, expected = _locate(source), _locate(other)
        if found is None or expected is None:
            return _identify(source).key == key
        return found[0] == expected[0] and _same_bytes(source, found[1], other, expected[1])


def _same_bytes(source: Source, ranges: Ranges, other: Source, expected: Ranges) -> bool:
    if [end - start for start, end in ranges] != [end - start for start, end in expected]:
        return False
    pieces, wanted = _pieces(source, ranges), _pieces(other, expected)
    return all(piece == former for piece, former in zip_longest(pieces, wanted))


def _pieces(source: Source, ranges: Ranges) -> Iterator[bytes]:
    for start, end in ranges:
        yield from source.chunks(start, end)


def _locate(source: Source) -> tuple[Parameters, Ranges] | None:
    """Return what the audio key is computed of; None if that is not known before the whole file is read."""
    flac = find_flac(source)
    if flac:
        return ("flac", flac.sample_rate, flac.channels), [(flac.first, source.end)]
    with open_audio(source) as audio:
        if isinstance(audio, MpegStream):
            return _parameters(audio), [(audio.first, source.end)]
        is_large = source.end - source.start > _LARGE
        ranges = (_sample_table(source, audio) if is_large else None) or _whole_pcm(source, audio)
        return (_parameters(audio), ranges) if ranges else None


def _identify(source: Source) -> Sound:
    flac = find_flac(source)
    if flac:
        return _flac(source, flac)
    with open_audio(source) as audio:
        return _mpeg(source, audio) if isinstance(audio, MpegStream) else _by_ffmpeg(source, audio)


def _parameters(audio: MpegStream | Demuxer) -> Parameters:
    if isinstance(audio, MpegStream):
        return f"mp{audio.layer}", audio.sample_rate, audio.channels
    context = audio.stream.codec_context
    return context.codec.canonical_name, context.sample_rate, context.channels


def _mpeg(source: Source, stream: MpegStream) -> Sound:
    parameters = _parameters(stream)
    digest = _new_digest(*parameters)
    _update(digest, source, [(stream.first, source.end)])
    duration = len(frame_offsets(source, stream)) * stream.samples / stream.sample_rate
    return Sound(digest.hexdigest(), duration, "mp3", *parameters)


def _flac(source: Source, stream: FlacStream) -> Sound:
    digest = _new_digest("flac", stream.sample_rate, stream.channels)
    _update(digest, source, [(stream.first, source.end)])
    duration = stream.samples / stream.sample_rate
    return Sound(digest.hexdigest(), duration, "flac", "flac", stream.sample_rate, stream.channels)


def _by_ffmpeg(source: Source, audio: Demuxer) -> Sound:
    """Find the packets with FFmpeg; where possible, their bytes are read directly from the file."""
    parameters = _parameters(audio)
    for method in (_indexed, _pcm, _ogg, _demuxed):
        digest = _new_digest(*parameters)
        ticks = method(source, audio, digest)
        if ticks is not None:
            break
    duration = float((ticks or 0) * (audio.stream.time_base or 0))
    return Sound(digest.hexdigest(), duration, audio.container.format.name, *parameters)


def _indexed(source: Source, audio: Demuxer, digest: hashlib.blake2b) -> int | None:
    """Digest an MP4 file's packets by its sample table; returns ticks, None if the table is incomplete."""
    ranges = _sample_table(source, audio)
    if ranges is None:
        return None
    _update(digest, source, ranges)
    for entry in audio.stream.index_entries if max(end for _, end in ranges) > source.end else ():
        if source.start + entry.pos + entry.size > source.end:
            return int(entry.timestamp - audio.stream.index_entries[0].timestamp)
    return audio.stream.duration


def _sample_table(source: Source, audio: Demuxer) -> Ranges | None:
    """Return where an MP4 file's packets are, joined where they adjoin; None if the table is incomplete."""
    entries = audio.stream.index_entries
    if not audio.container.format.name.startswith("mov,") or not len(entries) or len(entries) != audio.stream.frames:
        return None
    table = np.fromiter(((entry.pos, entry.size) for entry in entries), np.dtype((np.int64, 2)), len(entries))
    ends = table.sum(axis=1)
    breaks = np.flatnonzero(ends[:-1] != table[1:, 0])
    joined = zip(table[np.append(0, breaks + 1), 0], ends[np.append(breaks, -1)], strict=True)
    return [(source.start + int(start), source.start + int(end)) for start, end in joined]


def _pcm(source: Source, audio: Demuxer, digest: hashlib.blake2b) -> int | None:
    """Digest the samples of a WAV or AIFF file; returns ticks, None if they are not in one whole chunk."""
    ranges = _whole_pcm(source, audio)
    if ranges is None:
        return None
    _update(digest, source, ranges)
    return audio.stream.duration


def _whole_pcm(source: Source, audio: Demuxer) -> Ranges | None:
    """Return where the samples are, if FFmpeg and the sizes in the file agree about that."""
    codec, sample_rate, channels = _parameters(audio)
    bits = _PCM.fullmatch(codec)
    chunk = whole_pcm(source) if bits and audio.container.format.name in ("wav", "aiff") else None
    if bits is None or chunk is None or not channels or audio.stream.time_base != Fraction(1, sample_rate):
        return None
    samples, rest = divmod(chunk[1] - chunk[0], int(bits[1]) // 8 * channels)
    return [chunk] if samples and not rest and samples == audio.stream.duration else None


def _ogg(source: Source, audio: Demuxer, digest: hashlib.blake2b) -> int | None:
    """Digest an Ogg file's packets page by page; returns ticks, None if it is not a single plain stream."""
    if audio.container.format.name != "ogg" or not ogg_packets.update_digest(source, digest.update):
        return None
    return audio.stream.duration  # FFmpeg takes it from the last page in the file


def _demuxed(source: Source, audio: Demuxer, digest: hashlib.blake2b) -> int:
    """Digest all packets as FFmpeg demuxes them; returns ticks."""
    first = last = None
    found = False
    for packet in audio.packets():
        if not packet.size:
            continue
        found = True
        digest.update(packet)
        if packet.pts is not None:
            first = packet.pts if first is None else min(first, packet.pts)
            last = max(last or 0, packet.pts + (packet.duration or 0))
    if not found:
        raise DecodeError("no audio in it can be read", path=source.path)
    return 0 if first is None or last is None else last - first


def _new_digest(codec: str, sample_rate: int, channels: int) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{KEY_VERSION} {codec} {sample_rate} {channels}\n".encode())
    return digest


def _update(digest: hashlib.blake2b, source: Source, ranges: Ranges) -> None:
    for piece in _pieces(source, ranges):
        digest.update(piece)
