"""Find incomplete files: those that are shorter than their own headers say.

An interrupted download, copy or rip leaves a file that plays, but whose headers promise more than there is. Only
headers and the end of the file are read, and nothing is decoded. A file that states no length (a recorded stream, a
container written to a pipe) does not count as incomplete.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import replace

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio import stated_counts, stated_sizes
from genrify_tagger.audio.flac_frames import skip_metadata
from genrify_tagger.audio.mpeg import find_mpeg
from genrify_tagger.audio.source import Source, open_source

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ZEROS = 1 << 16  # so many zero bytes at the end do not occur in compressed audio, only in allocated space
_PCM_HOLE = 10.0  # seconds of silence at the end of PCM, stored as a hole, that are too many to be a fade-out


def find_shortfall(path: str) -> Shortfall | None:
    """Return how much of a file is there if it is incomplete, else None.

    Raises
    ------
    DecodeError
        If the file cannot be read, or contains nothing but tags.
    """
    with open_source(path) as source:
        try:
            return _find(source)
        except (IndexError, OverflowError, struct.error):
            return None  # a damaged header states nothing


def _find(source: Source) -> Shortfall | None:
    head = source.read(source.start, 16)
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return stated_sizes.measure_wav(source) or _pcm_hole(source)
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return stated_sizes.measure_aiff(source) or _pcm_hole(source)
    filled = replace(source, end=_end_of_data(source))
    return _measure(filled, head) or _hole(source, head)


def _measure(source: Source, head: bytes) -> Shortfall | None:
    for magic, measure in (
        (b"fLaC", stated_counts.measure_flac),
        (b"OggS", stated_counts.measure_ogg),
        (b"wvpk", stated_counts.measure_wavpack),
        (b"MPCK", stated_counts.measure_musepack8),
        (b"TTA1", stated_counts.measure_tta),
        (b"MAC ", stated_sizes.measure_monkeys_audio),
        (b"DSD ", stated_sizes.measure_dsf),
        (_ASF, stated_sizes.measure_asf),
    ):
        if head.startswith(magic):
            return measure(source)
    if head.startswith(b"MP+"):
        return stated_counts.measure_musepack7(source)
    if head[4:8] in stated_sizes.MP4_ATOMS:
        return stated_sizes.measure_mp4(source)
    stream = find_mpeg(source)
    return stated_counts.measure_mpeg(source, stream) if stream else None


def _end_of_data(source: Source) -> int:
    """Return where the data ends, without the zeros of space that was allocated for the rest."""
    end = source.end
    while end > source.start:
        size = min(_ZEROS, end - source.start)
        kept = source.read(end - size, size).rstrip(b"\0")
        end -= size - len(kept)
        if kept:
            break
    return end if source.end - end >= _ZEROS else source.end


def _hole(source: Source, head: bytes) -> Shortfall | None:
    """Measure a sparse file with holes in its compressed audio, where no such run of zeros occurs."""
    start, end = _audio_range(source, head)
    missing = sum(hole_end - hole for hole, hole_end in _holes(source, start, end))
    size = source.end - source.start
    return Shortfall((size - missing) / 1e6, size / 1e6, "MB") if missing else None


def _audio_range(source: Source, head: bytes) -> tuple[int, int]:
    """Return the range of a file that contains audio, without the padding of tags."""
    if head.startswith(b"fLaC"):
        return skip_metadata(source), source.end
    if head[4:8] in stated_sizes.MP4_ATOMS:
        return stated_sizes.mp4_data(source)
    if head.startswith(b"OggS"):  # a page of comments may be padded; it is smaller than this
        return source.start + _ZEROS, source.end
    return source.start, source.end


def _pcm_hole(source: Source) -> Shortfall | None:
    """Measure a sparse file of PCM: silence may be stored as holes, but not so much of it at the end."""
    data = stated_sizes.pcm_data(source)
    if data is None or not data.rate:
        return None
    missing = sum(end - hole for hole, end in _holes(source, data.start, data.end) if end >= data.end)
    seconds = (data.end - data.start) / data.rate
    return Shortfall(seconds - missing / data.rate, seconds) if missing > _PCM_HOLE * data.rate else None


def _holes(source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    if not hasattr(os, "SEEK_HOLE"):
        return
    size = os.fstat(source.fd).st_size
    at = start
    while at < end:
        try:
            hole = os.lseek(source.fd, at, os.SEEK_HOLE)
        except OSError:  # a file system without holes
            return
        if hole >= min(end, size):
            return
        try:
            at = os.lseek(source.fd, hole, os.SEEK_DATA)
        except OSError:  # the hole reaches to the end
            at = size
        yield hole, min(at, end)
