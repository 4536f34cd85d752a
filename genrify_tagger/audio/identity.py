"""Who a song is: a key over its audio that no tag editor changes, and how long the audio really is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from genrify_tagger.audio.source import Source, open_source, open_stream

KEY_VERSION = 1


@dataclass(frozen=True)
class AudioInfo:
    """What `probe` finds out about a file's audio.

    Attributes
    ----------
    key : str
        The song's identity: 32 hexadecimal digits.
    duration : float
        Seconds of audio really there, whatever the container says.
    container, codec : str
        FFmpeg's names of them.
    sample_rate : int
        Hertz.
    channels : int
    """

    key: str
    duration: float
    container: str
    codec: str
    sample_rate: int
    channels: int


def probe(path: str) -> AudioInfo:
    """Find out who a song is and how long it is, in one pass without decoding.

    Parameters
    ----------
    path : str

    Returns
    -------
    AudioInfo

    Raises
    ------
    DecodeError
        If there is no audio in the file, or it cannot be read.
    """
    with open_source(path) as source:
        return _by_packets(source)


def audio_key(path: str) -> str:
    """Return the key of a file's audio; equal before and after a write proves that the audio was left alone.

    Raises
    ------
    DecodeError
        If there is no audio in the file, or it cannot be read.
    """
    return probe(path).key


def _by_packets(source: Source) -> AudioInfo:
    with open_stream(source) as (container, stream):
        context = stream.codec_context
        digest = _new_digest(context.name, context.sample_rate, context.channels)
        first = last = None
        for packet in container.demux(stream):
            if not packet.size:
                continue
            digest.update(packet)
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                last = max(last or 0, packet.pts + (packet.duration or 0))
        ticks = 0 if first is None or last is None else last - first
        return AudioInfo(
            digest.hexdigest(),
            float(ticks * (stream.time_base or 0)),
            container.format.name,
            context.name,
            context.sample_rate,
            context.channels,
        )


def _new_digest(codec: str, sample_rate: int, channels: int) -> hashlib.blake2b:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(f"{KEY_VERSION} {codec} {sample_rate} {channels}\n".encode())
    return digest
