"""Which tag of a file would hide another one from players if it contained nothing but a genre.

A player that finds anything in the tag it prefers ignores the others: a FLAC file with title and artist in an ID3 tag
shows neither once a Vorbis comment holds a genre. The rules were measured with FFmpeg, TagLib and MPD; where these
differ, the strictest one counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from genrify_tagger.errors import WriteRefusedError

Kind = Literal["vorbis", "ape", "id3", "v1", "info"]
# What MPD knows in Vorbis comments and APEv2 items; if a tag has none of these, MPD shows another tag.
_KNOWN = frozenset(
    {
        *("album", "albumartist", "albumartistsort", "albumsort", "artist", "artistsort", "comment"),
        *("composer", "composersort", "conductor", "date", "description", "disc", "discnumber", "ensemble"),
        *("grouping", "label", "location", "mood", "movement", "movementnumber", "name", "originaldate"),
        *("performer", "title", "titlesort", "track", "tracknumber", "work", "year"),
    }
)
# Text frames that players do not show as a field of the song.
_TECHNICAL = frozenset({b"TSSE", b"TSS", b"TENC", b"TEN", b"TLEN", b"TLE", b"TFLT", b"TFT", b"TDTG", b"TCON", b"TCO"})


@dataclass(frozen=True, slots=True)
class TagContent:
    """The content of a tag besides the genre.

    Attributes
    ----------
    kind : str
    is_empty : bool
        Nothing at all.
    is_shown : bool
        Something that makes players prefer this tag to others.
    has_fields : bool
        Something that would be missed if it were hidden: text, ReplayGain.
    """

    kind: Kind
    is_empty: bool
    is_shown: bool
    has_fields: bool

    def hides(self, other: TagContent) -> bool:
        """Return whether a genre in this tag would hide the fields of another one from some player."""
        if not other.has_fields:
            return False
        if (self.kind, other.kind) in {("ape", "v1"), ("id3", "ape"), ("id3", "info"), ("id3", "id3")}:
            return self.is_empty
        return not self.is_shown


@dataclass(frozen=True, slots=True)
class CandidateTag:
    """A tag that the genre could be written to, whether it exists or would be added.

    Attributes
    ----------
    name : str
    content : TagContent
    has_field : bool
        It holds the genre now.
    is_usual : bool
        It gets the genre unless that hides something.
    carries : frozenset of str
        Names of the candidates whose fields it repeats, so that it cannot hide them.
    """

    name: str
    content: TagContent
    has_field: bool
    is_usual: bool
    carries: frozenset[str] = frozenset()


def choose_tags(candidates: Sequence[CandidateTag]) -> set[str]:
    """Return the names of the tags to write: those with the genre, and the usual ones or what they would hide."""
    chosen = {candidate.name for candidate in candidates if candidate.has_field}
    for candidate in candidates:
        if candidate.is_usual and not candidate.has_field:
            others = (other for other in candidates if other is not candidate and other.name not in candidate.carries)
            chosen |= {other.name for other in others if candidate.content.hides(other.content)} or {candidate.name}
    return chosen


def keyed_content(kind: Kind, keys: Iterable[str]) -> TagContent:
    """Return the content of a Vorbis comment or an APEv2 tag with these keys (without the genre's)."""
    names = [key.casefold().replace(" ", "") for key in keys]
    shown = any(name in _KNOWN or name.startswith("musicbrainz_") for name in names)
    fields = any(not name.startswith(("encode", "coverart", "metadata_block_picture")) for name in names)
    return TagContent(kind, not names, shown, fields)


def id3_content(frames: Sequence[bytes]) -> TagContent:
    """Return the content of an ID3v2 tag with these frames (without the genre's)."""
    names = [bytes(frame[:4]) for frame in frames]
    texts = [name for name in names if name[:1] == b"T" or name[:3] == b"COM"]
    fields = any(name not in _TECHNICAL and name[:3] not in _TECHNICAL for name in texts)
    return TagContent("id3", not names, bool(texts), fields)


def v1_content(block: bytes) -> TagContent:
    """Return the content of an ID3v1 block."""
    has_text = any(block[start:end].strip(b"\0 ") for start, end in ((3, 33), (33, 63), (63, 93), (93, 97)))
    return TagContent("v1", not has_text, has_text, has_text)


def info_content(names: Sequence[bytes]) -> TagContent:
    """Return the content of a LIST-INFO chunk with these entries (without the genre's)."""
    fields = any(name.upper() not in (b"ISFT", b"ITCH") for name in names)
    return TagContent("info", not names, fields, fields)


def hidden_fields_error(what: str, genres: Sequence[str]) -> WriteRefusedError:
    """Return the error for a file whose other fields are in a tag that the genre cannot be written to."""
    return WriteRefusedError(
        f"the file's title and other fields are in {what}, where this program cannot write "
        f"{'; '.join(genres)!r}, and a new tag would hide them from players",
        hint="convert its tags to the usual kind with a tag editor first",
    )
