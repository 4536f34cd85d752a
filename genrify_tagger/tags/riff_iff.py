"""WAV and AIFF: an ID3v2 tag in a chunk of its own, and in WAV a LIST-INFO chunk beside or instead of it.

Players that read LIST-INFO (FFmpeg, MPD) then ignore the ID3 chunk, and TagLib ignores LIST-INFO if there is an ID3
tag. So the genre is written to both if both exist, and neither is added if it would hide the other. A new ID3 tag
repeats the fields of LIST-INFO; if it cannot, the genre is written to LIST-INFO only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tag_blocks import ID3_HEADER, id3_size
from genrify_tagger.tags import id3, list_info
from genrify_tagger.tags.list_info import InfoList
from genrify_tagger.tags.located_tag import LocatedTag
from genrify_tagger.tags.model import GENRE, Edit, Piece
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.shadowing import CandidateTag, choose_tags, hidden_fields_error
from genrify_tagger.tags.tagged_stream import NEW_ID3, check_trailing_tags

_MAX_CHUNKS = 10_000
_MAX_FORMAT = 1 << 20
_HEAD = 8
_AUDIO = (b"data", b"SSND")
# Chunks that may follow the end stated in the file's header: then that length is wrong.
_KNOWN = frozenset(
    {
        *(b"fmt ", b"data", b"LIST", b"id3 ", b"ID3 ", b"bext", b"fact", b"cue ", b"smpl", b"inst", b"iXML", b"JUNK"),
        *(b"junk", b"PAD ", b"COMM", b"SSND", b"NAME", b"AUTH", b"ANNO", b"(c) ", b"MARK", b"INST", b"COMT", b"FVER"),
    }
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: `start` is the offset of its identifier; `end` is after its pad byte, if it has one."""

    name: bytes
    start: int
    size: int
    end: int

    @property
    def body(self) -> int:
        """Where its content begins."""
        return self.start + _HEAD


def list_chunks(view: PatchedFile, order: Literal["little", "big"]) -> list[Chunk]:
    """List the chunks of a RIFF or IFF file.

    Up to the end stated in its header, and beyond if more known chunks follow: players read to the end of the file.
    So does audio whose stated size is too large (truncated, or written to a pipe), or 0 without another chunk behind.

    Raises
    ------
    TagReadError
        If a chunk extends past the end of the file.
    """
    stated = 8 + int.from_bytes(view.at(4, 4), order)
    chunks: list[Chunk] = []
    at = 12
    while at + _HEAD <= view.size and len(chunks) < _MAX_CHUNKS:
        head = view.at(at, _HEAD)
        size = int.from_bytes(head[4:], order)
        if head[:4] in _AUDIO and _has_unknown_end(view, at + _HEAD, size):
            size = view.size - at - _HEAD
        fits = at + _HEAD + size <= view.size
        if at + _HEAD > stated and not (fits and head[:4] in _KNOWN):
            break
        if not fits:
            raise TagReadError("the file is truncated, or a length in it is wrong")
        end = min(at + _HEAD + size + size % 2, view.size)
        if size > _MAX_FORMAT and head[:4] in (b"fmt ", b"COMM"):
            raise TagReadError("the description of the audio in the file is too large")
        chunks.append(Chunk(head[:4], at, size, end))
        at = end
    return chunks


def _has_unknown_end(view: PatchedFile, start: int, size: int) -> bool:
    following = view.at(start, 4)
    return start + size > view.size or (not size and len(following) == 4 and following not in _KNOWN)


def form_size(view: PatchedFile, order: Literal["little", "big"], end: int) -> int:
    """Return the length to state in the header if the last chunk ends at `end`: the present one, if it is plausible."""
    stated = int.from_bytes(view.at(4, 4), order)
    return stated if end <= 8 + stated <= view.size else end - 8


def size_repair(view: PatchedFile, order: Literal["little", "big"]) -> list[Edit]:
    """Return the edits that correct wrong lengths of a file and of its audio."""
    chunks = list_chunks(view, order)
    if not chunks or view.size >= 1 << 32:
        return []
    form = Edit(4, 8, form_size(view, order, chunks[-1].end).to_bytes(4, order))
    return [form, *_audio_size_repair(view, order, chunks)]


def _audio_size_repair(view: PatchedFile, order: Literal["little", "big"], chunks: Sequence[Chunk]) -> list[Edit]:
    sizes = ((chunk.start + 4, chunk.size.to_bytes(4, order)) for chunk in chunks if chunk.name in _AUDIO)
    return [Edit(at, at + 4, size) for at, size in sizes if view.at(at, 4) != size]


@dataclass(frozen=True)
class Chunked:
    """The genre field of a WAV or AIFF file.

    Attributes
    ----------
    own : Chunk or None
        The chunk of the ID3 tag.
    located : LocatedTag
        The tag in it, or the one that could be added.
    infos : tuple of InfoList
        LIST-INFO chunks, in file order, or one that could be added.
    """

    container: str
    view: PatchedFile
    field: str
    order: Literal["little", "big"]
    chunks: tuple[Chunk, ...]
    own: Chunk | None
    located: LocatedTag
    infos: tuple[InfoList, ...]

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The frames of the ID3 chunk, and the IGNR entries of LIST-INFO."""
        entries = (piece for info in self.infos for piece in info.pieces(self.field))
        return (*self.located.pieces(self.field), *entries)

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in the ID3 tag, then those in LIST-INFO."""
        entries = (list_info.entry_values(p.data) for info in self.infos for p in info.pieces(self.field))
        return (*self.located.values(self.field), *entries)

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the genre frame and the IGNR entries, except where they would hide other fields."""
        tag, infos = self.located, self.infos
        # A new ID3 tag repeats the fields of LIST-INFO.
        carries = frozenset(info.name for info in infos) if tag.parts and not tag.exists else frozenset()
        candidates = [CandidateTag(tag.name, tag.content(self.field), bool(tag.pieces(self.field)), True, carries)]
        for number, info in enumerate(infos):
            usual = number == 0 and self.field == GENRE
            candidates.append(CandidateTag(info.name, info.content(self.field), bool(info.pieces(self.field)), usual))
        if genres and not any(candidate.content.is_shown or candidate.has_field for candidate in candidates):
            check_trailing_tags(self.view, genres)
        chosen = choose_tags(candidates)
        if genres and self.field != GENRE and tag.name not in chosen:
            raise hidden_fields_error("a LIST-INFO chunk", genres)
        made = tag.compose(self.field, genres) if tag.name in chosen else []
        made += [piece for info in infos if info.name in chosen for piece in info.compose(self.field, genres)]
        return tuple(made)

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: LIST-INFO, the ID3 chunk, and the length of the form."""
        edits = [*self._edit_chunks(pieces), *self._new_chunks(pieces)]
        if not edits:
            return []
        grown = sum(len(edit.new) - (edit.end - edit.start) for edit in edits)
        form = form_size(self.view, self.order, self._end) + grown
        if form >= 1 << 32:
            raise WriteRefusedError("the file would become longer than its format allows")
        sizes = _audio_size_repair(self.view, self.order, self.chunks)
        return [Edit(4, 8, form.to_bytes(4, self.order)), *sizes, *edits]

    @property
    def carried(self) -> bytes:
        """The tag that a write would add, as far as it repeats fields of another one."""
        return b"" if self.located.exists else b"".join(self.located.tag.build())

    @property
    def _end(self) -> int:
        """Where the last chunk ends."""
        return self.chunks[-1].end if self.chunks else 12

    def _edit_chunks(self, pieces: Sequence[Piece]) -> list[Edit]:
        rebuilt = ((info, info.rebuilt(pieces, self.field)) for info in self.infos if info.exists)
        edits = [Edit(info.start + 4, info.end, self._sized(*parts)) for info, parts in rebuilt if parts is not None]
        parts = self.located.rebuilt(pieces, self.field)
        if self.own is not None and parts is not None:
            length = self.own.body + self.own.size - self.located.end
            behind = self.view.exactly(self.located.end, length, "ID3 chunk")
            edits.append(Edit(self.own.start + 4, self.own.end, self._sized(*parts, behind)))
        return edits

    def _new_chunks(self, pieces: Sequence[Piece]) -> list[Edit]:
        made = [
            b"LIST" + self._sized(*parts)
            for info in self.infos
            if not info.exists and (parts := info.rebuilt(pieces, self.field)) is not None
        ]
        tag = self.located.rebuilt(pieces, self.field) if self.own is None else None
        if tag is not None:
            made.append((b"id3 " if self.container == "wav" else b"ID3 ") + self._sized(*tag))
        at = self._end
        odd = bytes(1 if self.chunks and (at - self.chunks[-1].body) % 2 else 0)
        return [Edit(at, at, odd + b"".join(made))] if made else []

    def _sized(self, *parts: bytes) -> bytes:
        size = sum(map(len, parts))
        return b"".join([size.to_bytes(4, self.order), *parts, bytes(size % 2)])

    def others(self) -> list[bytes]:
        """Return every other frame and entry, and the names and sizes of the other chunks."""
        entries = [entry for info in self.infos for entry in info.others(self.field)]
        changed = {self.own.start if self.own else None, *(info.start for info in self.infos if info.exists)}
        chunks = [c.name + c.size.to_bytes(8, "big") for c in self.chunks if c.start not in changed]
        return [*self.located.others(self.field), self.located.tag.tail, *entries, *chunks]


def open_wav(view: PatchedFile, field: str) -> Chunked:
    """Read the genre of a RIFF-WAVE file."""
    chunks = list_chunks(view, "little")
    found = [chunk for chunk in chunks if chunk.name == b"LIST" and view.at(chunk.body, 4) == b"INFO"]
    infos = [
        InfoList(
            f"{list_info.PLACE}:{number}" if number else list_info.PLACE,
            chunk.start,
            chunk.end,
            list_info.cut_entries(view.exactly(chunk.body + 4, chunk.size - 4, "LIST-INFO chunk")),
        )
        for number, chunk in enumerate(found)
    ]
    # Beside a bext chunk FFmpeg shows LIST-INFO, but no ID3 tag.
    if not infos and any(chunk.name == b"bext" for chunk in chunks):
        infos = [InfoList(list_info.PLACE, view.size, view.size, ())]
    return _open(view, field, "wav", "little", chunks, infos)


def open_aiff(view: PatchedFile, field: str) -> Chunked:
    """Read the genre of an AIFF or AIFF-C file."""
    return _open(view, field, "aiff", "big", list_chunks(view, "big"), ())


def _open(
    view: PatchedFile,
    field: str,
    container: str,
    order: Literal["little", "big"],
    chunks: Sequence[Chunk],
    infos: Sequence[InfoList],
) -> Chunked:
    own = next((chunk for chunk in chunks if chunk.name in (b"id3 ", b"ID3 ")), None)
    located = chunk_tag(view, own.body, own.size) if own else chunk_tag(view, view.size, 0)
    if own is None and (carried := list_info.as_id3(infos, NEW_ID3)) is not None:
        located = replace(located, tag=carried)
    return Chunked(container, view, field, order, tuple(chunks), own, located, tuple(infos))


def chunk_tag(view: PatchedFile, start: int, length: int) -> LocatedTag:
    """Return the ID3v2 tag that fills a chunk, or an empty one in its place."""
    size = id3_size(view.at(start, min(length, ID3_HEADER)))
    if size > length:
        raise TagReadError("the ID3 tag is truncated")
    if length and not size:
        raise TagReadError("the chunk for the ID3 tag holds something else")
    tag = id3.parse(view.exactly(start, size, "ID3 tag")) if size else id3.empty_tag(NEW_ID3)
    return LocatedTag(f"{tag.place}:0", start, start + size, tag)
