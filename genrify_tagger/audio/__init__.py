"""Listening to a file: what song it is, how long it is, and 3-second segments of it at 16 kHz.

Everything FFmpeg opens can be heard, through PyAV. This package is imported by worker processes only: a decoder may
crash or hang on a damaged file, and must not take the program down with it.

Conventions: `y` is float32 at `SAMPLE_RATE`, mono, nominally in [-1, 1]; time is in seconds from the first demuxed
sample; intervals are `(n, 2)` arrays of start and end.
"""

from genrify_tagger.audio.decode import (
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    SEGMENT_SECONDS,
    Segments,
    decode_all,
    load_segments,
)
from genrify_tagger.audio.identity import KEY_VERSION, audio_key, probe
from genrify_tagger.audio.titles import read_titles
from genrify_tagger.audio.transcode import to_opus

__all__ = [
    "KEY_VERSION",
    "SAMPLE_RATE",
    "SEGMENT_SAMPLES",
    "SEGMENT_SECONDS",
    "Segments",
    "audio_key",
    "decode_all",
    "load_segments",
    "probe",
    "read_titles",
    "to_opus",
]
