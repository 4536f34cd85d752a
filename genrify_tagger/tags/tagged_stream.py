"""Audio with tags before and behind it: MP3 and TTA (ID3v2), Monkey's Audio, WavPack, Musepack and others (APEv2).

All places that have the genre say the same after a write: players differ in which one they believe. A tag that does
not exist is only made where it is the container's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from genrify_tagger.errors import TagReadError
from genrify_tagger.tag_blocks import ID3_HEADER, V1_GENRE, V1_SIZE, TagBlock, id3_size, trailing_blocks
from genrify_tagger.tags import ape, genre_names, id3, id3_frames
from genrify_tagger.tags.model import GENRE, MAX_TAGS, Edit, Piece, check_count, insert_at, joined
from genrify_tagger.tags.patched_file import PatchedFile

# A tag made where none was: the version that mutagen, mediafile and Picard write by default.
NEW_ID3 = 4


@dataclass(frozen=True)
class LocatedTag:
    """A tag with its place in the file; a tag of no length is one that could be made there."""

    name: str
    start: int
    end: int
    tag: id3.Tag | ape.ApeTag

    @property
    def parts(self) -> tuple[bytes, ...]:
        """The frames or items."""
        return self.tag.frames if isinstance(self.tag, id3.Tag) else self.tag.items

    def values(self, part: bytes, field: str) -> tuple[str, ...] | None:
        """Return what `part` says of the field, None if it is about something else."""
        if isinstance(self.tag, id3.Tag):
            return id3_frames.field_values(self.tag, part, field)
        return ape.field_values(part, field)

    def make(self, field: str, genres: Sequence[str], former: bytes | None) -> bytes:
        """Return a frame or item that says `genres`."""
        if isinstance(self.tag, id3.Tag):
            return id3_frames.make_frame(self.tag, field, genres, former)
        return ape.make_item(self.tag, field, genres, former)

    def rebuilt(self, parts: Sequence[bytes]) -> list[bytes]:
        """Return the tag's bytes, in pieces, with other parts; its size stays if it can."""
        if isinstance(self.tag, id3.Tag):
            return self.tag.with_frames(parts, size=self.end - self.start).build()
        return self.tag.with_items(parts).build()


def field_pieces(located: LocatedTag, field: str) -> list[tuple[Piece, tuple[str, ...]]]:
    """Return the field's pieces in one tag, each with what it says."""
    found = []
    for index, part in enumerate(located.parts):
        values = located.values(part, field)
        if values is not None:
            found.append((Piece(located.name, index, part), values))
    return found


def compose_piece(located: LocatedTag, field: str, genres: Sequence[str]) -> list[Piece]:
    """Return the one piece that says `genres` in a tag, in the place of the first former one."""
    if not genres:
        return []
    former = [piece for piece, _ in field_pieces(located, field)]
    # No reader looks behind an unreadable stretch, and it must not be cut in two.
    end = 0 if located.tag.tail else len(located.parts)
    at = former[0].at if former else end
    return [Piece(located.name, at, located.make(field, genres, former[0].data if former else None))]


@dataclass(frozen=True)
class TaggedStream:
    """The genre field of a file made of tags, audio, tags."""

    container: str
    view: PatchedFile
    field: str
    primary: str
    tags: tuple[LocatedTag, ...]
    v1: int | None

    @cached_property
    def _found(self) -> list[tuple[LocatedTag, list[tuple[Piece, tuple[str, ...]]]]]:
        return [(located, field_pieces(located, self.field)) for located in self.tags]

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The field's frames and items, and ID3v1's genre byte if it is set."""
        found = [piece for _, pieces in self._found for piece, _ in pieces]
        return (*found, *self._v1_piece())

    def _v1_piece(self) -> tuple[Piece, ...]:
        byte = self._v1_byte
        return () if byte == genre_names.NO_GENRE else (Piece("id3v1", 0, bytes((byte,))),)

    @cached_property
    def _v1_byte(self) -> int:
        return genre_names.NO_GENRE if self.v1 is None or self.field != GENRE else self.view.at(self.v1, 1)[0]

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """What each tag says; ID3v1 counts only where nothing else does."""
        ranked = sorted(self._found, key=lambda found: not found[0].name.startswith(self.primary))
        said = tuple(tuple(name for _, values in pieces for name in values) for _, pieces in ranked if pieces)
        return said if any(said) or not self._v1_piece() else (*said, genre_names.from_v1(self._v1_byte))

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return one piece for the container's own tag, and for every other tag that exists."""
        byte = genre_names.to_v1(genres) if self.v1 is not None and self.field == GENRE else genre_names.NO_GENRE
        # Where ID3v1 is the only ID3 tag and can say it, one byte does, and no other tag need be made.
        enough = self.primary == "id3" and joined(genre_names.from_v1(byte)) == joined(genres)
        wanted = [
            located for located in self.tags if self._wanted(located) and not (enough and located.start == located.end)
        ]
        made = [piece for located in wanted for piece in compose_piece(located, self.field, genres)]
        return (*made, *([] if byte == genre_names.NO_GENRE else [Piece("id3v1", 0, bytes((byte,)))]))

    def _wanted(self, located: LocatedTag) -> bool:
        if located.name.startswith(self.primary) and located.name.endswith(":0"):
            return True
        # The own kind's first tag and APEv2 beside ID3 get the genre; further tags only if they have it.
        first_ape = located.name == "ape:0" and located.end > located.start
        return first_ape or bool(field_pieces(located, self.field))

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits, one for each tag that changes."""
        edits = [edit for located in self.tags for edit in self._splice_tag(located, pieces)]
        if self.v1 is not None and self.field == GENRE:
            byte = next((piece.data for piece in pieces if piece.place == "id3v1"), bytes((genre_names.NO_GENRE,)))
            if byte != self.view.at(self.v1, 1):
                edits.append(Edit(self.v1, self.v1 + 1, byte))
        return edits

    def _splice_tag(self, located: LocatedTag, pieces: Sequence[Piece]) -> list[Edit]:
        wanted = [piece for piece in pieces if piece.place == located.name]
        if wanted == [piece for piece, _ in field_pieces(located, self.field)]:
            return []
        others = [part for part in located.parts if located.values(part, self.field) is None]
        return [Edit(located.start, located.end, b"".join(located.rebuilt(insert_at(others, wanted))))]

    def others(self) -> list[bytes]:
        """Return every other frame and item of the tags, and ID3v1 without its genre byte."""
        kept = [part for located in self.tags for part in located.parts if located.values(part, self.field) is None]
        kept += [located.tag.tail for located in self.tags if located.tag.tail]
        if self.v1 is not None:
            kept.append(self.view.at(self.v1 - V1_GENRE, V1_GENRE))
        return kept


def front_tags(view: PatchedFile) -> list[tuple[int, int]]:
    """Return the spans of the ID3v2 tags, one behind the other, that a file begins with."""
    spans, at = [], 0
    while size := id3_size(view.at(at, ID3_HEADER)):
        if at + size > view.size:
            raise TagReadError("the ID3 tag is cut off")
        spans.append((at, at + size))
        check_count(len(spans), "ID3 tags", limit=MAX_TAGS)
        at += size
    return spans


def trailing_tags(view: PatchedFile, audio: int) -> list[TagBlock]:
    """Return the tags behind the audio, in file order."""
    found: list[TagBlock] = []
    for block in trailing_blocks(view.at, audio, view.size):
        found.insert(0, block)
        check_count(len(found), "tags behind the audio", limit=MAX_TAGS)
    return found


def open_stream(view: PatchedFile, field: str, container: str, *, primary: str) -> TaggedStream:
    """Find all tags of a file whose own kind of tag is `primary`: "id3" or "ape"."""
    front = front_tags(view)
    audio = front[-1][1] if front else 0
    behind = trailing_tags(view, audio)
    id3_spans = front + [(block.start, block.end) for block in behind if block.kind == "id3"]
    tags = [_id3_tag(view, span, index) for index, span in enumerate(id3_spans)]
    v1 = next((block.start + V1_GENRE for block in reversed(behind) if block.kind == "v1"), None)
    if not front and primary == "id3":
        tags = [replace(located, name=_named(located.tag, index + 1)) for index, located in enumerate(tags)]
        known = () if v1 is None else id3_frames.frames_of_v1(view.at(v1 - V1_GENRE, V1_SIZE))
        fresh = replace(id3.empty_tag(NEW_ID3), frames=known)
        tags.insert(0, LocatedTag(_named(fresh, 0), 0, 0, fresh))
    tags += _ape_tags(view, behind, audio, make=primary == "ape")
    return TaggedStream(container, view, field, primary, tuple(tags), v1)


def _named(tag: id3.Tag | ape.ApeTag, index: int) -> str:
    return f"{tag.place if isinstance(tag, id3.Tag) else 'ape'}:{index}"


def _id3_tag(view: PatchedFile, span: tuple[int, int], index: int) -> LocatedTag:
    tag = id3.parse(view.exactly(span[0], span[1] - span[0], "ID3 tag"))
    return LocatedTag(_named(tag, index), *span, tag)


def _ape_tags(view: PatchedFile, behind: Sequence[TagBlock], audio: int, *, make: bool) -> list[LocatedTag]:
    found = [block for block in reversed(behind) if block.kind == "ape"]
    located = []
    for index, block in enumerate(found):
        data = view.exactly(block.start, block.end - block.start, "APEv2 tag")
        located.append(
            LocatedTag(f"ape:{index}", block.start, block.end, ape.parse(data, header=block.header, footer=True))
        )
    if not located and make:
        # In front of Lyrics3 and ID3v1, which must stay at the very end to be found.
        at = behind[0].start if behind else view.size
        located.append(LocatedTag("ape:0", at, at, ape.new_tag()))
    return located
