"""Title, artist and album of a file, for display, and what else tells which artist and album a song belongs to."""

from __future__ import annotations

import av

from genrify_tagger.audio.demuxer import open_container
from genrify_tagger.audio.source import open_source

FIELDS = ("title", "artist", "album", "album_artist", "artist_id", "album_id", "compilation")
_NAMES = {  # of fields in the tags of some container, without case and punctuation
    "albumartist": "album_artist",
    "musicbrainzalbumartistid": "artist_id",
    "musicbrainzartistid": "artist_id",
    "musicbrainzalbumid": "album_id",
    "tcmp": "compilation",
    "itunescompilation": "compilation",
}
_LONGEST = 300  # characters


def read_titles(path: str) -> dict[str, str]:
    """Return title, artist and album as FFmpeg reads them, without those that are missing.

    Raises
    ------
    DecodeError
        If it is not an audio file.
    """
    with open_source(path, with_tags=True) as source, open_container(source, for_tags=True) as container:
        stream = next(iter(container.streams.audio), None)
        found = _lower(container.metadata) | (_lower(stream.metadata) if isinstance(stream, av.AudioStream) else {})
    return {field: found[field][:_LONGEST] for field in FIELDS if found.get(field)}


def _lower(metadata: dict[str, str]) -> dict[str, str]:
    found = {key.lower(): " ".join(value.split()) for key, value in metadata.items()}
    for key in sorted(found):  # of an artist's two identifiers the album artist's comes first
        known = _NAMES.get("".join(filter(str.isalnum, key)))
        if known is not None:
            found.setdefault(known, found[key])
    return found
