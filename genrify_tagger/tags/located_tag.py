"""One ID3v2 or APEv2 tag at its offset in a file: read and replace its genre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genrify_tagger.tags import ape, id3, id3_frames
from genrify_tagger.tags.model import Piece, insert_at
from genrify_tagger.tags.shadowing import TagContent, id3_content, keyed_content


@dataclass(frozen=True)
class LocatedTag:
    """A tag with its offset in the file; a tag of length 0 is one that could be added there."""

    name: str
    start: int
    end: int
    tag: id3.Tag | ape.ApeTag

    @property
    def exists(self) -> bool:
        """Whether it is in the file."""
        return self.end > self.start

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The frames or items."""
        return self.tag.frames if isinstance(self.tag, id3.Tag) else self.tag.items

    def others(self, field: str) -> list[bytes]:
        """Return the frames or items of other fields."""
        return [part for part in self.parts if self._values(part, field) is None]

    def content(self, field: str) -> TagContent:
        """Return the tag's content besides the field."""
        others = self.others(field) if self.exists else []
        if isinstance(self.tag, id3.Tag):
            return id3_content(others)
        return keyed_content("ape", [ape.key_of(item) for item in others])

    def pieces(self, field: str) -> list[Piece]:
        """Return the field's frames or items."""
        return [
            Piece(self.name, index, part)
            for index, part in enumerate(self.parts)
            if self._values(part, field) is not None
        ]

    def values(self, field: str) -> list[tuple[str, ...]]:
        """Return the values in the field's frames, and those in frames that players read instead."""
        pieces = self.pieces(field)
        own = [piece for piece in pieces if not self._is_alias(piece.data, field)]
        aliases = [piece for piece in pieces if self._is_alias(piece.data, field)]
        return [self._joined_values(group, field) for group in (own, aliases) if group]

    def _joined_values(self, pieces: Sequence[Piece], field: str) -> tuple[str, ...]:
        return tuple(name for piece in pieces for name in self._values(piece.data, field) or ())

    def _values(self, part: bytes, field: str) -> tuple[str, ...] | None:
        if isinstance(self.tag, id3.Tag):
            return id3_frames.field_values(self.tag, part, field)
        return ape.field_values(part, field)

    def _is_alias(self, part: bytes, field: str) -> bool:
        return isinstance(self.tag, id3.Tag) and id3_frames.is_alias(part, field)

    def compose(self, field: str, genres: Sequence[str]) -> list[Piece]:
        """Return the one piece with `genres`, at the position of the first former one.

        An alias of the genre frame is removed: TagLib would show the genre twice.
        """
        if not genres:
            return []
        former = self.pieces(field)
        own = next((piece for piece in former if not self._is_alias(piece.data, field)), None)
        # No reader looks beyond an unreadable stretch, and it must not be cut in two.
        end = 0 if self.tag.tail else len(self.parts)
        at = former[0].at if former else end
        return [Piece(self.name, at, self._make(field, genres, own.data if own else None))]

    def _make(self, field: str, genres: Sequence[str], former: bytes | None) -> bytes:
        if isinstance(self.tag, id3.Tag):
            return id3_frames.make_frame(self.tag, field, genres, former)
        return ape.make_item(self.tag, field, genres, former)

    def rebuilt(self, pieces: Sequence[Piece], field: str) -> list[bytes] | None:
        """Return the tag's bytes, in parts, with `pieces` as the field; None if that changes nothing."""
        wanted = [piece for piece in pieces if piece.place == self.name]
        if wanted == self.pieces(field):
            return None
        parts = insert_at(self.others(field), wanted)
        if isinstance(self.tag, id3.Tag):
            return self.tag.with_frames(parts, size=self.end - self.start).build()
        return self.tag.with_items(parts).build()
