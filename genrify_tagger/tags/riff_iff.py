"""Containers that keep an ID3v2 tag in a chunk of their own: WAV, AIFF and DSF.

A WAV file may have its tags in a LIST-INFO chunk as well or instead, and players that read it (FFmpeg, MPD) do not look
into the ID3 chunk then. So the genre is read there (IGNR) where the ID3 tag has none, and written there too if the
chunk exists; it is never made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from genrify_tagger.errors import NotTaggableError, TagReadError, WriteRefusedError
from genrify_tagger.tag_blocks import ID3_HEADER, id3_size
from genrify_tagger.tags import id3, memory_budget
from genrify_tagger.tags.model import GENRE, JOIN, Edit, Piece, insert_at
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.tagged_stream import NEW_ID3, LocatedTag, compose_piece, field_pieces

_MAX_CHUNKS = 10_000
_MAX_FORMAT = 1 << 20
_HEAD = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk: `start` is where its identifier stands; `end` is behind its pad byte, if it has one."""

    name: bytes
    start: int
    size: int
    end: int

    @property
    def body(self) -> int:
        """Where its content begins."""
        return self.start + _HEAD


def list_chunks(view: PatchedFile, order: Literal["little", "big"]) -> list[Chunk]:
    """List the chunks of a RIFF or IFF file, up to its end as its header tells it.

    Raises
    ------
    TagReadError
        If a chunk leaves the file.
    """
    form_end = _form_end(view, order)
    chunks: list[Chunk] = []
    at = 12
    while at + _HEAD <= form_end and len(chunks) < _MAX_CHUNKS:
        head = view.at(at, _HEAD)
        size = int.from_bytes(head[4:], order)
        if at + _HEAD + size > view.size:
            raise TagReadError("the file is cut off, or a length in it is wrong")
        end = min(at + _HEAD + size + size % 2, view.size)
        if size > _MAX_FORMAT and head[:4] in (b"fmt ", b"COMM"):
            raise TagReadError("the description of the audio in the file is too large")
        chunks.append(Chunk(head[:4], at, size, end))
        at = end
    return chunks


def _form_end(view: PatchedFile, order: Literal["little", "big"]) -> int:
    return min(8 + int.from_bytes(view.at(4, 4), order), view.size)


@dataclass(frozen=True)
class Chunked:
    """The genre field of a WAV or AIFF file."""

    container: str
    view: PatchedFile
    field: str
    order: Literal["little", "big"]
    chunks: tuple[Chunk, ...]
    own: Chunk | None
    info: Chunk | None
    located: LocatedTag

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The frames of the ID3 chunk, and the IGNR entry of LIST-INFO."""
        return (*(piece for piece, _ in field_pieces(self.located, self.field)), *self._ignr())

    @cached_property
    def _entries(self) -> list[bytes]:
        if self.info is None:
            return []
        return _info_entries(self.view.exactly(self.info.body + 4, self.info.size - 4, "LIST-INFO chunk"))

    def _ignr(self) -> list[Piece]:
        if self.field != GENRE:
            return []
        return [Piece("ignr", i, entry) for i, entry in enumerate(self._entries) if entry[:4].upper() == b"IGNR"]

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """What the ID3 tag says, then what LIST-INFO says."""
        said = [values for _, values in field_pieces(self.located, self.field)]
        tag = [tuple(name for values in said for name in values)] if said else []
        return (*tag, *(_ignr_values(piece.data) for piece in self._ignr()))

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the genre frame, and the IGNR entry if there is a LIST-INFO chunk."""
        made = compose_piece(self.located, self.field, genres)
        if genres and self.info is not None and self.field == GENRE:
            former = self._ignr()
            entries = self._entries
            # Behind an entry without its pad byte, or a damaged one, another would not be found.
            end = 0 if sum(map(len, entries)) % 2 else len(entries)
            at = former[0].at if former else end
            made.append(Piece("ignr", at, _make_ignr(genres)))
        return tuple(made)

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: LIST-INFO, the ID3 chunk, and the length of the form."""
        edits = [*self._splice_info(pieces), *self._splice_own(pieces)]
        grown = sum(len(edit.new) - (edit.end - edit.start) for edit in edits)
        if not grown:
            return edits
        form = int.from_bytes(self.view.at(4, 4), self.order) + grown
        if form >= 1 << 32:
            raise WriteRefusedError("the file would become longer than its format allows")
        return [Edit(4, 8, form.to_bytes(4, self.order)), *edits]

    def _splice_info(self, pieces: Sequence[Piece]) -> list[Edit]:
        wanted = [piece for piece in pieces if piece.place == "ignr"]
        if self.info is None or wanted == self._ignr():
            return []
        others = [entry for entry in self._entries if entry[:4].upper() != b"IGNR"]
        return [Edit(self.info.start + 4, self.info.end, self._sized(b"INFO", *insert_at(others, wanted)))]

    def _splice_own(self, pieces: Sequence[Piece]) -> list[Edit]:
        wanted = [piece for piece in pieces if piece.place == self.located.name]
        if wanted == [piece for piece, _ in field_pieces(self.located, self.field)]:
            return []
        others = [part for part in self.located.parts if self.located.values(part, self.field) is None]
        combined = insert_at(others, wanted)
        if self.own is None:
            at = self.chunks[-1].end if self.chunks else 12
            odd = bytes(1 if self.chunks and (at - self.chunks[-1].body) % 2 else 0)
            name = b"id3 " if self.container == "wav" else b"ID3 "
            return [Edit(at, at, odd + name + self._sized(*self.located.rebuilt(combined)))]
        behind = self.view.exactly(self.located.end, self.own.body + self.own.size - self.located.end, "ID3 chunk")
        return [Edit(self.own.start + 4, self.own.end, self._sized(*self.located.rebuilt(combined), behind))]

    def _sized(self, *parts: bytes) -> bytes:
        size = sum(map(len, parts))
        return b"".join([size.to_bytes(4, self.order), *parts, bytes(size % 2)])

    def others(self) -> list[bytes]:
        """Return every other frame and entry, and the names and sizes of the other chunks."""
        frames = [part for part in self.located.parts if self.located.values(part, self.field) is None]
        entries = [entry for entry in self._entries if self.field != GENRE or entry[:4].upper() != b"IGNR"]
        mine = (self.own, self.info)
        chunks = [chunk.name + chunk.size.to_bytes(8, "big") for chunk in self.chunks if chunk not in mine]
        return [*frames, self.located.tag.tail, *entries, *chunks]


def _info_entries(body: bytes) -> list[bytes]:
    """Cut the content of LIST-INFO into its entries, pad bytes included; a damaged end is one entry."""
    entries, at, view = [], 0, memoryview(body)
    while at < len(body):
        size = int.from_bytes(body[at + 4 : at + 8], "little")
        end = at + 8 + size + size % 2
        if at + 8 + size > len(body):
            end = len(body)
        entries.append(memory_budget.deduplicated(view[at:end]))
        at = end
    return entries


def _ignr_values(entry: bytes) -> tuple[str, ...]:
    text = entry[8 : 8 + int.from_bytes(entry[4:8], "little")].split(b"\0")[0]
    try:
        value = text.decode("utf-8").strip()
    except UnicodeDecodeError:
        value = text.decode("cp1252", "replace").strip()
    return (value,) if value else ()


def _make_ignr(genres: Sequence[str]) -> bytes:
    text = JOIN.join(genres).encode("utf-8") + b"\0"
    return b"IGNR" + len(text).to_bytes(4, "little") + text + bytes(len(text) % 2)


def open_wav(view: PatchedFile, field: str) -> Chunked:
    """Read the genre of a RIFF-WAVE file."""
    chunks = list_chunks(view, "little")
    infos = [chunk for chunk in chunks if chunk.name == b"LIST" and view.at(chunk.body, 4) == b"INFO"]
    return _open(view, field, "wav", "little", chunks, infos[0] if infos else None)


def open_aiff(view: PatchedFile, field: str) -> Chunked:
    """Read the genre of an AIFF or AIFF-C file."""
    return _open(view, field, "aiff", "big", list_chunks(view, "big"), None)


def _open(
    view: PatchedFile,
    field: str,
    container: str,
    order: Literal["little", "big"],
    chunks: Sequence[Chunk],
    info: Chunk | None,
) -> Chunked:
    own = next((chunk for chunk in chunks if chunk.name in (b"id3 ", b"ID3 ")), None)
    located = chunk_tag(view, own.body, own.size) if own else chunk_tag(view, view.size, 0)
    return Chunked(container, view, field, order, tuple(chunks), own, info, located)


def chunk_tag(view: PatchedFile, start: int, length: int) -> LocatedTag:
    """Return the ID3v2 tag that fills a chunk, or an empty one in its place."""
    size = id3_size(view.at(start, min(length, ID3_HEADER)))
    if size > length:
        raise TagReadError("the ID3 tag is cut off")
    if length and not size:
        raise TagReadError("the chunk for the ID3 tag holds something else")
    tag = id3.parse(view.exactly(start, size, "ID3 tag")) if size else id3.empty_tag(NEW_ID3)
    return LocatedTag(f"{tag.place}:0", start, start + size, tag)


@dataclass(frozen=True)
class Dsf:
    """The genre field of a DSF file, whose ID3v2 tag stands at the end."""

    container: str
    view: PatchedFile
    field: str
    located: LocatedTag

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The genre frames."""
        return tuple(piece for piece, _ in field_pieces(self.located, self.field))

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """What the tag says."""
        said = [values for _, values in field_pieces(self.located, self.field)]
        return (tuple(name for values in said for name in values),) if said else ()

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the genre frame."""
        return tuple(compose_piece(self.located, self.field, genres))

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: the tag, the file's length and the pointer to the tag."""
        if list(pieces) == list(self.pieces):
            return []
        others = [part for part in self.located.parts if self.located.values(part, self.field) is None]
        content = b"".join(self.located.rebuilt(insert_at(others, pieces)))
        total = int.from_bytes(self.view.at(12, 8), "little") + len(content) - (self.located.end - self.located.start)
        head = total.to_bytes(8, "little") + self.located.start.to_bytes(8, "little")
        return [Edit(12, 28, head), Edit(self.located.start, self.located.end, content)]

    def others(self) -> list[bytes]:
        """Return every other frame."""
        return [part for part in self.located.parts if self.located.values(part, self.field) is None]


def open_dsf(view: PatchedFile, field: str) -> Dsf:
    """Read the genre of a DSF file."""
    if int.from_bytes(view.at(4, 8), "little") != 28:
        raise NotTaggableError("this kind of DSD file is not supported")
    pointer = int.from_bytes(view.at(20, 8), "little")
    if pointer > view.size or 0 < pointer < 28:
        raise TagReadError("the DSF file is cut off")
    start = pointer or view.size
    return Dsf("dsf", view, field, chunk_tag(view, start, view.size - start))
