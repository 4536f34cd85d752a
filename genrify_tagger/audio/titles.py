"""Title, artist and album of a file, for display."""

from __future__ import annotations

import av

from genrify_tagger.audio.demuxer import open_container
from genrify_tagger.audio.source import open_source

FIELDS = ("title", "artist", "album")
_LONGEST = 300  # characters


def read_titles(path: str) -> dict[str, str]:
    """Return title, artist and album as FFmpeg reads them, without those that are missing.

    Raises
    ------
    DecodeError
        If it is not an audio file.
    """
    with open_source(path, with_tags=True) as source, open_container(source) as container:
        stream = next(iter(container.streams.audio), None)
        found = _lower(container.metadata) | (_lower(stream.metadata) if isinstance(stream, av.AudioStream) else {})
    return {field: found[field][:_LONGEST] for field in FIELDS if found.get(field)}


def _lower(metadata: dict[str, str]) -> dict[str, str]:
    return {key.lower(): " ".join(value.split()) for key, value in metadata.items()}
