"""Read audio: a file's audio key and duration, and 3-second segments of it at 16 kHz.

FFmpeg decodes, through PyAV. Only worker processes import this package: a decoder may crash or hang on a damaged file,
which must not take the program down.

Conventions: `y` is float32 at `SAMPLE_RATE`, mono, nominally in [-1, 1]; time is in seconds from the first demuxed
sample; intervals are `(n, 2)` arrays of start and end.
"""

from genrify_tagger.audio.completeness import find_shortfall
from genrify_tagger.audio.covers import read_cover
from genrify_tagger.audio.decode import (
    SAMPLE_RATE,
    SEGMENT_SAMPLES,
    SEGMENT_SECONDS,
    Segments,
    decode_all,
    load_segments,
)
from genrify_tagger.audio.identity import KEY_VERSION, audio_key, has_audio_of, probe
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
    "find_shortfall",
    "has_audio_of",
    "load_segments",
    "probe",
    "read_cover",
    "read_titles",
    "to_opus",
]
