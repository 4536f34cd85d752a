"""Find incomplete files: those that are shorter than their own headers say.

An interrupted download, copy or rip leaves a file that plays, but whose headers promise more than there is. Only
headers and the end of the file are read, and nothing is decoded. A file that states no length (a recorded stream, a
container written to a pipe) does not count as incomplete.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import replace

from genrify_tagger.analysis import Shortfall
from genrify_tagger.audio import stated_counts, stated_mp4, stated_sizes
from genrify_tagger.audio.flac_frames import skip_metadata
from genrify_tagger.audio.mpeg import find_mpeg
from genrify_tagger.audio.source import Source, open_source

_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
# More zero bytes at the end do not occur in compressed audio, only in allocated space and in padding.
_PADDING = 1 << 14
_ASF_PADDING = _ZEROS = 1 << 16
_SILENCE = 10.0  # seconds of zeros in PCM that are too many to be a pause or a fade-out


def find_shortfall(path: str) -> Shortfall | None:
    """Return how much of a file is there if it is incomplete, else None.

    Raises
    ------
    DecodeError
        If the file cannot be read, or contains nothing but tags.
    """
    with open_source(path) as source:
        return measure_shortfall(source)


def measure_shortfall(source: Source) -> Shortfall | None:
    """Do the same with an open file."""
    try:
        return _find(source)
    except (IndexError, OverflowError, struct.error):
        return None  # a damaged header states nothing


def _find(source: Source) -> Shortfall | None:
    head = source.read(source.start, 16)
    if head.startswith((b"RIFF", b"RF64")) and head[8:12] == b"WAVE":
        return stated_sizes.measure_wav(source) or _missing_of_chunk(source)
    if head.startswith(b"FORM") and head[8:12] in (b"AIFF", b"AIFC"):
        return stated_sizes.measure_aiff(source) or _missing_of_chunk(source)
    start, end = _audio_range(source, head)
    return _zeros_at_end(source, head, start, end) or _measure(source, head) or _holes_in(source, start, end)


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
    if head[4:8] in stated_mp4.MP4_ATOMS:
        return stated_mp4.measure_mp4(source)
    stream = find_mpeg(source)
    return stated_counts.measure_mpeg(source, stream) if stream else None


def _zeros_at_end(source: Source, head: bytes, start: int, end: int) -> Shortfall | None:
    """Measure a file whose audio ends in zeros of space that was allocated for the rest."""
    data_end = _end_of_data(source, start, end)
    if end - data_end <= (_ASF_PADDING if head == _ASF else _PADDING):
        return None
    if end < source.end:  # an MP4 file's index, which comes last, is there
        return Shortfall((data_end - start) / 1e6, (end - start) / 1e6, "MB")
    last_packet = 0 if head[4:8] in stated_mp4.MP4_ATOMS else _PADDING  # which may end in zeros
    found = _measure(replace(source, end=data_end + last_packet), head)
    if found is not None:
        return _measure(replace(source, end=data_end), head) or found
    if end - data_end > _ZEROS and _states_nothing(source, head):
        return Shortfall((data_end - start) / 1e6, (end - start) / 1e6, "MB")
    return None


def _end_of_data(source: Source, start: int, end: int) -> int:
    """Return where the zeros begin that a range ends in."""
    while end > start:
        size = min(_PADDING, end - start)
        kept = source.read(end - size, size).rstrip(b"\0")
        end -= size - len(kept)
        if kept:
            break
    return end


def _states_nothing(source: Source, head: bytes) -> bool:
    """Tell whether a file is MPEG audio without a frame that counts the others."""
    stream = find_mpeg(source)
    return stream is not None and stream.clean and not stream.information


def _audio_range(source: Source, head: bytes) -> tuple[int, int]:
    """Return the range of a file that contains audio, without the padding of tags."""
    if head.startswith(b"fLaC"):
        return skip_metadata(source), source.end
    if head[4:8] in stated_mp4.MP4_ATOMS:
        return stated_mp4.mp4_data(source)
    if head.startswith(b"OggS"):  # a page of comments may be padded; it is smaller than this
        return source.start + _ZEROS, source.end
    return source.start, source.end


def _holes_in(source: Source, start: int, end: int) -> Shortfall | None:
    """Measure a sparse file with holes in its compressed audio, where no such run of zeros occurs."""
    missing = sum(hole_end - hole for hole, hole_end in _holes(source, start, end))
    size = source.end - source.start
    return Shortfall((size - missing) / 1e6, size / 1e6, "MB") if missing else None


def _missing_of_chunk(source: Source) -> Shortfall | None:
    """Measure a WAV or AIFF file whose chunk of audio is of the right size, but not filled."""
    data = stated_sizes.pcm_data(source)
    if data is None:
        return None
    size, filled = data.end - data.start, _end_of_data(source, data.start, data.end) - data.start
    is_unfilled = filled > 0 and size - filled > size / 2
    if not data.rate:  # compressed audio
        if is_unfilled and size - filled > _PADDING:
            return Shortfall(filled / 1e6, size / 1e6, "MB")
        return _holes_in(source, data.start, data.end)
    # Silence may be stored as holes and as zeros, but not so much of it.
    missing = [end - hole for hole, end in _holes(source, data.start, data.end)]
    missing += [size - filled] if is_unfilled else []
    longest = max(missing, default=0)
    return Shortfall((size - longest) / data.rate, size / data.rate) if longest > _SILENCE * data.rate else None


if sys.platform == "win32":

    def _holes(source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
        return iter(())  # Windows does not tell where they are by these calls

else:

    def _holes(source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
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
