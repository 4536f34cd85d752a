"""The audio key, a hash of the audio that no tag editor changes, and the true duration of a file."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from genrify_tagger.analysis import Sound
from genrify_tagger.audio import ogg_packets
from genrify_tagger.audio.completeness import measure_shortfall
from genrify_tagger.audio.demuxer import Demuxer, open_audio
from genrify_tagger.audio.flac_frames import FlacStream, find_flac
from genrify_tagger.audio.mpeg import MpegStream, frame_offsets
from genrify_tagger.audio.source import Source, open_source
from genrify_tagger.errors import DecodeError

KEY_VERSION = 1


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


def _identify(source: Source) -> Sound:
    flac = find_flac(source)
    if flac:
        return _flac(source, flac)
    with open_audio(source) as audio:
        return _mpeg(source, audio) if isinstance(audio, MpegStream) else _by_ffmpeg(source, audio)


def _mpeg(source: Source, stream: MpegStream) -> Sound:
    codec = f"mp{stream.layer}"
    digest = _new_digest(codec, stream.sample_rate, stream.channels)
    _update(digest, source, stream.first, source.end)
    duration = len(frame_offsets(source, stream)) * stream.samples / stream.sample_rate
    return Sound(digest.hexdigest(), duration, "mp3", codec, stream.sample_rate, stream.channels)


def _flac(source: Source, stream: FlacStream) -> Sound:
    digest = _new_digest("flac", stream.sample_rate, stream.channels)
    _update(digest, source, stream.first, source.end)
    duration = stream.samples / stream.sample_rate
    return Sound(digest.hexdigest(), duration, "flac", "flac", stream.sample_rate, stream.channels)


def _by_ffmpeg(source: Source, audio: Demuxer) -> Sound:
    """Find the packets with FFmpeg; where possible, their bytes are read directly from the file."""
    context = audio.stream.codec_context
    parameters = context.codec.canonical_name, context.sample_rate, context.channels
    for method in (_indexed, _ogg, _demuxed):
        digest = _new_digest(*parameters)
        ticks = method(source, audio, digest)
        if ticks is not None:
            break
    duration = float((ticks or 0) * (audio.stream.time_base or 0))
    return Sound(digest.hexdigest(), duration, audio.container.format.name, *parameters)


def _indexed(source: Source, audio: Demuxer, digest: hashlib.blake2b) -> int | None:
    """Digest an MP4 file's packets by its sample table; returns ticks, None if the table is incomplete."""
    entries = audio.stream.index_entries
    if not audio.container.format.name.startswith("mov,") or not len(entries) or len(entries) != audio.stream.frames:
        return None
    table = np.fromiter(((entry.pos, entry.size) for entry in entries), np.dtype((np.int64, 2)), len(entries))
    ends = table.sum(axis=1)
    breaks = np.flatnonzero(ends[:-1] != table[1:, 0])
    for start, end in zip(table[np.append(0, breaks + 1), 0], ends[np.append(breaks, -1)], strict=True):
        _update(digest, source, source.start + int(start), source.start + int(end))
    missing = np.flatnonzero(ends > source.end - source.start)
    if len(missing):
        return int(entries[int(missing[0])].timestamp - entries[0].timestamp)
    return audio.stream.duration


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


def _update(digest: hashlib.blake2b, source: Source, start: int, end: int) -> None:
    for piece in source.chunks(start, end):
        digest.update(piece)
