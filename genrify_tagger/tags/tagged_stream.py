"""Audio with tags before and after it: MP3 and TTA (ID3v2), Monkey's Audio, WavPack, Musepack and others (APEv2).

After a write, all tags that have a genre have the same one, because players differ in which one they prefer. A missing
tag is added only if it is the container's own, and not if it would hide the fields of another one (`shadowing`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from genrify_tagger.errors import TagReadError
from genrify_tagger.tag_blocks import ID3_HEADER, V1_GENRE, V1_SIZE, TagBlock, id3_size, trailing_blocks
from genrify_tagger.tags import ape, genre_names, id3, id3_frames
from genrify_tagger.tags.located_tag import LocatedTag
from genrify_tagger.tags.model import GENRE, MAX_TAGS, Edit, Piece, check_count, joined
from genrify_tagger.tags.mpeg_frames import has_frame
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.shadowing import CandidateTag, TagContent, choose_tags, hidden_fields_error, v1_content

# Version of a new tag: the one that mutagen, mediafile and Picard write by default.
NEW_ID3 = 4
_V1 = "id3v1"
_SEARCH = 64 << 10


@dataclass(frozen=True)
class TaggedStream:
    """The genre field of a file made of tags, audio, tags.

    Attributes
    ----------
    primary : str
        The container's own kind of tag, "id3" or "ape"; "none" if that is not among these tags.
    appended : frozenset of str
        Names of the ID3v2 tags after the audio, which hardly any player reads.
    v1 : int or None
        Offset of the genre byte of ID3v1.
    """

    container: str
    view: PatchedFile
    field: str
    primary: str
    tags: tuple[LocatedTag, ...]
    appended: frozenset[str]
    v1: int | None

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """The field's frames and items, and ID3v1's genre byte if it is set."""
        found = [piece for located in self.tags for piece in located.pieces(self.field)]
        return (*found, *self._v1_piece())

    def _v1_piece(self) -> tuple[Piece, ...]:
        byte = self._v1_byte
        return () if byte == genre_names.NO_GENRE else (Piece(_V1, 0, bytes((byte,))),)

    @cached_property
    def _v1_byte(self) -> int:
        return genre_names.NO_GENRE if self.v1 is None or self.field != GENRE else self.view.at(self.v1, 1)[0]

    @property
    def _v1_block(self) -> bytes:
        return b"" if self.v1 is None else self.view.at(self.v1 - V1_GENRE, V1_SIZE)

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in each tag; ID3v1 counts only if there is no other."""
        ranked = sorted(self.tags, key=lambda located: not located.name.startswith(self.primary))
        said = tuple(values for located in ranked for values in located.values(self.field))
        return said if any(said) or not self._v1_piece() else (*said, genre_names.from_v1(self._v1_byte))

    @property
    def candidates(self) -> list[CandidateTag]:
        """The tags that may hold the field."""
        candidates = [self._candidate(located) for located in self.tags]
        if self.v1 is not None:
            usual = self.primary != "none" and self.field == GENRE
            candidates.append(CandidateTag(_V1, v1_content(self._v1_block), bool(self._v1_piece()), usual))
        return candidates

    def _candidate(self, located: LocatedTag) -> CandidateTag:
        first = located.name.endswith(":0")
        usual = first and (
            located.name.startswith(self.primary)
            or (located.name.startswith("ape") and located.exists and self.primary != "none")
        )
        content = located.content(self.field)
        if located.name in self.appended:
            content = TagContent("id3", content.is_empty, content.is_shown, has_fields=False)
        # A new tag repeats the fields of ID3v1.
        carries = frozenset({_V1} if located.parts and not located.exists else ())
        return CandidateTag(located.name, content, bool(located.pieces(self.field)), usual, carries)

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the pieces of the tags that are written."""
        chosen = choose_tags(self.candidates)
        # If ID3v1 is the only ID3 tag and has a number for the genre, one byte is enough and no tag is added.
        if self._v1_says(genres) and self.primary == "id3":
            chosen -= {located.name for located in self.tags if not located.exists}
        return self.compose_in(chosen, genres)

    def compose_in(self, chosen: Collection[str], genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the pieces that hold `genres` in the chosen tags.

        Raises
        ------
        WriteRefusedError
            If nothing but ID3v1 is chosen, and it has no number for them.
        """
        if _V1 in chosen and len(chosen) == 1 and genres and not self._v1_says(genres):
            raise hidden_fields_error("an ID3v1 block", genres)
        made = [
            piece for located in self.tags if located.name in chosen for piece in located.compose(self.field, genres)
        ]
        byte = genre_names.to_v1(genres) if _V1 in chosen and self.field == GENRE else genre_names.NO_GENRE
        return (*made, *([] if byte == genre_names.NO_GENRE else [Piece(_V1, 0, bytes((byte,)))]))

    def _v1_says(self, genres: Sequence[str]) -> bool:
        if self.v1 is None or self.field != GENRE:
            return False
        return joined(genre_names.from_v1(genre_names.to_v1(genres))) == joined(genres)

    @property
    def carried(self) -> bytes:
        """The tag that a write would add, as far as it repeats fields of another one."""
        made = next((located for located in self.tags if not located.exists and located.parts), None)
        return b"" if made is None else b"".join(made.tag.build())

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits, one for each tag that changes."""
        rebuilt = ((located, located.rebuilt(pieces, self.field)) for located in self.tags)
        edits = [Edit(located.start, located.end, b"".join(parts)) for located, parts in rebuilt if parts is not None]
        if self.v1 is not None and self.field == GENRE:
            byte = next((piece.data for piece in pieces if piece.place == _V1), bytes((genre_names.NO_GENRE,)))
            if byte != self.view.at(self.v1, 1):
                edits.append(Edit(self.v1, self.v1 + 1, byte))
        return edits

    def others(self) -> list[bytes]:
        """Return every other frame and item of the tags, and ID3v1 without its genre byte."""
        kept = [part for located in self.tags for part in located.others(self.field)]
        kept += [located.tag.tail for located in self.tags if located.tag.tail]
        return [*kept, self._v1_block[:V1_GENRE]]


def front_tags(view: PatchedFile) -> list[tuple[int, int]]:
    """Return the spans of the consecutive ID3v2 tags at the start of a file."""
    spans, at = [], 0
    while size := id3_size(view.at(at, ID3_HEADER)):
        if at + size > view.size:
            raise TagReadError("the ID3 tag is truncated")
        spans.append((at, at + size))
        check_count(len(spans), "ID3 tags", limit=MAX_TAGS)
        at += size
    return spans


def trailing_tags(view: PatchedFile, audio: int) -> list[TagBlock]:
    """Return the tags after the audio, in file order."""
    found: list[TagBlock] = []
    for block in trailing_blocks(view.at, audio, view.size):
        found.insert(0, block)
        check_count(len(found), "tags after the audio", limit=MAX_TAGS)
    return found


def check_trailing_tags(view: PatchedFile, genres: Sequence[str]) -> None:
    """Refuse to add the first field to a file's own tag if players now show the fields of a tag after the audio.

    Raises
    ------
    WriteRefusedError
        If there is such a tag.
    """
    behind = open_stream(view, GENRE, "", primary="none")
    kinds = {candidate.name: candidate.content for candidate in behind.candidates}
    for name, content in kinds.items():
        if content.has_fields:
            raise hidden_fields_error("an ID3v1 block" if name == _V1 else "a tag after the audio", genres)


def open_stream(view: PatchedFile, field: str, container: str, *, primary: str) -> TaggedStream:
    """Find all tags around the audio of a file.

    Parameters
    ----------
    view : PatchedFile
    field : str
        "genre" or a custom name.
    container : str
    primary : str
        The container's own kind of tag: "id3", "ape" or "none". If it does not exist, an empty one is prepared.
    """
    front = front_tags(view) or (_hidden_front_tag(view) if container == "mp3" else [])
    audio = front[-1][1] if front else 0
    behind = trailing_tags(view, audio)
    id3_spans = front + [(block.start, block.end) for block in behind if block.kind == "id3"]
    tags = [_id3_tag(view, span, index) for index, span in enumerate(id3_spans)]
    v1 = next((block.start for block in reversed(behind) if block.kind == "v1"), None)
    if not front and primary == "id3":
        tags = [replace(located, name=_named(located.tag, index + 1)) for index, located in enumerate(tags)]
        known = () if v1 is None else id3_frames.frames_of_v1(view.at(v1, V1_SIZE))
        fresh = replace(id3.empty_tag(NEW_ID3), frames=known)
        tags.insert(0, LocatedTag(_named(fresh, 0), 0, 0, fresh))
    appended = frozenset(located.name for located in tags if located.exists and located.start >= audio)
    known_items = () if v1 is None else ape.items_of_v1(view.at(v1, V1_SIZE))
    tags += _ape_tags(view, behind, ape.new_tag(known_items) if primary == "ape" else None)
    byte = None if v1 is None else v1 + V1_GENRE
    return TaggedStream(container, view, field, primary, tuple(tags), appended, byte)


def _hidden_front_tag(view: PatchedFile) -> list[tuple[int, int]]:
    """Return the span of an ID3v2 tag after zeros or junk at the start of the file, as TagLib finds it."""
    data = view.at(0, _SEARCH)
    at = data.find(b"ID3")
    size = id3_size(data[at : at + ID3_HEADER]) if at >= 0 else 0
    return [(at, at + size)] if size and at + size <= view.size and not has_frame(data[:at]) else []


def _named(tag: id3.Tag | ape.ApeTag, index: int) -> str:
    return f"{tag.place if isinstance(tag, id3.Tag) else 'ape'}:{index}"


def _id3_tag(view: PatchedFile, span: tuple[int, int], index: int) -> LocatedTag:
    tag = id3.parse(view.exactly(span[0], span[1] - span[0], "ID3 tag"))
    return LocatedTag(_named(tag, index), *span, tag)


def _ape_tags(view: PatchedFile, behind: Sequence[TagBlock], fresh: ape.ApeTag | None) -> list[LocatedTag]:
    found = [block for block in reversed(behind) if block.kind == "ape"]
    located = []
    for index, block in enumerate(found):
        data = view.exactly(block.start, block.end - block.start, "APEv2 tag")
        located.append(
            LocatedTag(f"ape:{index}", block.start, block.end, ape.parse(data, header=block.header, footer=True))
        )
    if not located and fresh is not None:
        # In front of Lyrics3 and ID3v1, which must stay at the very end to be found.
        at = behind[0].start if behind else view.size
        located.append(LocatedTag("ape:0", at, at, fresh))
    return located
