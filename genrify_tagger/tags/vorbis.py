"""A Vorbis comment as bytes, as in FLAC and all Ogg codecs: replace the genre, leave the rest.

References
----------
xiph.org: Ogg Vorbis I format specification, comment field and header specification.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from genrify_tagger.errors import TagReadError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import GENRE, Piece, check_count

PLACE = "vorbis"


@dataclass(frozen=True)
class Comment:
    """A Vorbis comment: vendor and comments as in the file, and what follows them (framing bit, padding)."""

    vendor: bytes
    comments: tuple[bytes, ...]
    tail: bytes

    def parts(self) -> Iterator[bytes]:
        """Yield its bytes in parts."""
        yield from (_length(self.vendor), self.vendor, len(self.comments).to_bytes(4, "little"))
        for comment in self.comments:
            yield from (_length(comment), comment)
        yield self.tail

    def with_comments(self, comments: Sequence[bytes]) -> Comment:
        """Return a copy with other comments."""
        return replace(self, comments=tuple(comments))


def _length(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little")


EMPTY = Comment(b"Genrify Tagger", (), b"")


def parse(data: bytes, start: int = 0) -> Comment:
    """Split a Vorbis comment, which begins at `start`, into its parts.

    Raises
    ------
    TagReadError
        If a length exceeds the data.
    """
    vendor, at = _take(data, start)
    count = int.from_bytes(data[at : at + 4], "little")
    at += 4
    if count > len(data) // 4:
        raise TagReadError("the Vorbis comment is damaged")
    check_count(count, "Vorbis comments")
    comments = []
    for _ in range(count):
        comment, at = _take(data, at)
        comments.append(comment)
    return Comment(vendor, tuple(comments), memory_budget.deduplicated(memoryview(data)[at:]))


def _take(data: bytes, at: int) -> tuple[bytes, int]:
    end = at + 4 + int.from_bytes(data[at : at + 4], "little")
    if at + 4 > len(data) or end > len(data):
        raise TagReadError("the Vorbis comment is damaged")
    return memory_budget.deduplicated(memoryview(data)[at + 4 : end]), end


def is_field(comment: bytes, field: str) -> bool:
    """Return whether a comment is one of the field's (keys compare without case)."""
    return comment[: len(field) + 1].lower() == field.lower().encode("ascii") + b"="


def pieces(comment: Comment, field: str) -> tuple[Piece, ...]:
    """Return the field's comments."""
    return tuple(Piece(PLACE, i, entry) for i, entry in enumerate(comment.comments) if is_field(entry, field))


def values(found: Sequence[Piece]) -> tuple[str, ...]:
    """Return the values of the field's comments."""
    texts = [piece.data.partition(b"=")[2].decode("utf-8", "replace") for piece in found]
    return tuple(text for text in texts if text)


def compose(comment: Comment, field: str, genres: Sequence[str]) -> tuple[Piece, ...]:
    """Return one comment for each genre, at the position of the first former one and with its spelling of the key."""
    former = pieces(comment, field)
    key = former[0].data.partition(b"=")[0] if former else (b"GENRE" if field == GENRE else field.encode("ascii"))
    first = former[0].at if former else len(comment.comments)
    return tuple(Piece(PLACE, first + i, key + b"=" + name.encode("utf-8")) for i, name in enumerate(genres))


def others(comment: Comment, field: str) -> list[bytes]:
    """Return every other comment."""
    return [entry for entry in comment.comments if not is_field(entry, field)]
