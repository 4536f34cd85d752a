"""MP4 and M4A: replace the genre atom in moov.udta.meta.ilst; every other atom keeps its bytes.

If the atom cannot grow into a neighbouring ``free`` atom, what follows moves, and the tables that point at the audio
(``stco``, ``co64``, ``tfhd``, ``tfra``) are corrected; files with other such tables are refused.

References
----------
ISO/IEC 14496-12 (ISO base media file format); Apple, QuickTime File Format Specification, "Metadata".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from genrify_tagger.errors import NotTaggableError, TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import GENRE, Edit, Piece, check_count, insert_at
from genrify_tagger.tags.mp4_atoms import Atom, atoms, content_start, first_of, inside, leaves, shift_offsets
from genrify_tagger.tags.mp4_genre_atoms import MEAN, TEXT, GenreAtom, genre_atoms, is_field, item_values
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.protection import check_mp4
from genrify_tagger.tags.tagged_stream import check_trailing_tags

# Items for which players show no tag after the audio.
_SHOWN = {b"\xa9nam", b"\xa9ART", b"\xa9alb", b"aART", b"\xa9day", b"trkn", b"\xa9wrt", b"\xa9cmt", b"disk", b"soar"}
_ELSEWHERE = "mp4:elsewhere"
_MAX_HASHED = 256 << 20
_MAX_KEYS = 1 << 20
_HANDLER = bytes(8) + b"mdirappl" + bytes(9)


def _make(name: bytes, *content: bytes) -> bytes:
    size = 8 + sum(map(len, content))
    if size >= 1 << 32:
        raise WriteRefusedError("an atom of the MP4 file would become too large")
    return b"".join([size.to_bytes(4, "big"), name, *content])


@dataclass(frozen=True)
class Mp4:
    """The genre field of an MP4 file.

    Attributes
    ----------
    path : tuple of Atom
        moov, then as many of udta, meta and ilst as exist.
    """

    container: str
    view: PatchedFile
    field: str
    top: tuple[Atom, ...]
    path: tuple[Atom, ...]

    @cached_property
    def _children(self) -> list[bytes]:
        if len(self.path) < 4:
            return []
        ilst = self.path[3]
        body = self.view.exactly(ilst.body, ilst.end - ilst.body, "MP4 tag")
        spans = atoms(self.view, ilst.body, ilst.end)
        check_count(len(spans), "MP4 tags")
        cut = memoryview(body)
        parts = [memory_budget.deduplicated(cut[atom.start - ilst.body : atom.end - ilst.body]) for atom in spans]
        rest = memory_budget.deduplicated(cut[spans[-1].end - ilst.body if spans else 0 :])
        return [*parts, rest] if rest else parts

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The genre atoms, and those in other places that players may show."""
        elsewhere = (Piece(_ELSEWHERE, i, home.data) for i, home in enumerate(self._elsewhere))
        return (*self._own_pieces, *elsewhere)

    @cached_property
    def _own_pieces(self) -> tuple[Piece, ...]:
        return tuple(Piece("mp4", i, a) for i, a in enumerate(self._children) if is_field(a, self.field))

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in each of the genre atoms, and those that players may show from elsewhere in the file."""
        order = (TEXT, b"gnre", b"----")
        ranked = sorted(self._own_pieces, key=lambda piece: order.index(piece.data[4:8]))
        return (*(item_values(piece.data) for piece in ranked), *(home.genres for home in self._elsewhere))

    @cached_property
    def _elsewhere(self) -> list[GenreAtom]:
        if self.field != GENRE:
            return []
        return genre_atoms(self.view, self.top, self.path[2] if len(self.path) > 2 else None)

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return one atom with one value for each genre."""
        if not genres:
            return ()
        if not self._own_pieces and not any(part[4:8] in _SHOWN for part in self._children):
            check_trailing_tags(self.view, genres)
        at = self._own_pieces[0].at if self._own_pieces else len(self._children)
        data = b"".join(_make(b"data", b"\0\0\0\1" + bytes(4) + name.encode("utf-8")) for name in genres)
        if self.field == GENRE:
            return (Piece("mp4", at, _make(TEXT, data)),)
        named = _make(b"mean", bytes(4) + MEAN) + _make(b"name", bytes(4) + self.field.encode("ascii"))
        return (Piece("mp4", at, _make(b"----", named + data)),)

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: the tag, the free space after it, sizes of its parents, tables of offsets.

        A genre in another place becomes free space, so that nothing else moves.
        """
        kept = {piece.data for piece in pieces if piece.place == _ELSEWHERE}
        freed = [home.freed() for home in self._elsewhere if home.data not in kept]
        own = [piece for piece in pieces if piece.place != _ELSEWHERE]
        return [*freed, *self._splice_own(own)]

    def _splice_own(self, pieces: Sequence[Piece]) -> list[Edit]:
        if tuple(pieces) == self._own_pieces:
            return []
        combined = insert_at([part for part in self._children if not is_field(part, self.field)], pieces)
        edit, depth = self._tag_edit(combined)
        edits = [edit, *self._resize_free(edit, depth)]
        grown = sum(len(each.new) - (each.end - each.start) for each in edits)
        if grown:
            edits += self._resize(self.path[:depth], grown) + self._shift(edit.end, grown)
        return edits

    def _tag_edit(self, children: Sequence[bytes]) -> tuple[Edit, int]:
        """Return the edit of the tag itself, and how many of `path` contain it (and must be resized)."""
        made = _make(b"ilst", *children)
        if len(self.path) == 4:
            return Edit(self.path[3].start, self.path[3].end, made), 3
        if len(self.path) < 3:
            made = _make(b"meta", bytes(4) + _make(b"hdlr", _HANDLER) + made)
        if len(self.path) < 2:
            made = _make(b"udta", made)
        inner = inside(self.view, self.path[-1])
        # After the last child, but before QuickTime's terminator.
        at = inner[-1].end if inner else content_start(self.view, self.path[-1])
        return Edit(at, at, made), len(self.path)

    def _resize_free(self, edit: Edit, depth: int) -> list[Edit]:
        if depth != 3 or len(self.path) != 4:
            return []
        free = next((atom for atom in inside(self.view, self.path[2]) if atom.start == edit.end), None)
        change = edit.end - edit.start - len(edit.new)
        if free is None or free.name != b"free" or free.body - free.start != 8 or not change:
            return []
        room = free.end - free.body + change
        if not 0 <= room < (1 << 32) - 8:
            return []
        head = Edit(free.start, free.body, (room + 8).to_bytes(4, "big") + b"free")
        # It may have any size.
        return [head, Edit(min(free.end, free.body + room), free.end, bytes(max(0, change)))]

    def _resize(self, parents: Sequence[Atom], grown: int) -> list[Edit]:
        edits = []
        for atom in parents:
            size = atom.end - atom.start + grown
            long = atom.body - atom.start == 16
            if int.from_bytes(self.view.at(atom.start, 4), "big") == 0:
                continue
            if not long and size >= 1 << 32:
                raise WriteRefusedError("an atom of the MP4 file would become too large")
            at, width = (atom.start + 8, 8) if long else (atom.start, 4)
            edits.append(Edit(at, at + width, size.to_bytes(width, "big")))
        return edits

    def _shift(self, border: int, by: int) -> list[Edit]:
        if all(atom.end <= border or atom is self.path[0] for atom in self.top):
            return []
        return shift_offsets(self.view, self._leaves(), border, by)

    def _leaves(self) -> Iterator[Atom]:
        return leaves(self.view, self.top, self.path[2] if len(self.path) > 2 else None)

    def others(self) -> list[bytes]:
        """Return every other atom of the tag, and a hash of every other atom but the tables of offsets."""
        hashed, skipped = 0, {b"stco", b"co64", b"tfhd", b"tfra", b"mdat", b"free", b"ilst"}
        kept = [part for part in self._children if not is_field(part, self.field)]
        found = {atom.start for atom in self._elsewhere}
        made = {b"hdlr"} if len(self.path) > 2 else set()
        for atom in self._leaves():
            if atom.start in found or atom.name in skipped or (atom.name in made and self._is_new_handler(atom)):
                continue
            hashed += atom.end - atom.body
            if hashed > _MAX_HASHED:
                raise WriteRefusedError(f"the MP4 file has more than {_MAX_HASHED >> 20} MiB of other data")
            kept.append(atom.name + self._digest(atom))
        return kept

    def _digest(self, atom: Atom) -> bytes:
        """Return a hash of an atom's content, in which genres count as the free space that a write makes of them."""
        inner = [home.freed() for home in self._elsewhere if atom.body <= home.start < atom.end]
        if not inner:
            return self.view.digest(atom.body, atom.end - atom.body)
        data = bytearray(self.view.exactly(atom.body, atom.end - atom.body, "MP4 tag"))
        for edit in inner:
            data[edit.start - atom.body : edit.end - atom.body] = edit.new
        return hashlib.blake2b(data, digest_size=16).digest()

    def _is_new_handler(self, atom: Atom) -> bool:
        return atom.end - atom.body == len(_HANDLER) and self.view.at(atom.body, len(_HANDLER)) == _HANDLER


def open_mp4(view: PatchedFile, field: str) -> Mp4:
    """Read the genre of an MP4 file.

    Raises
    ------
    NotTaggableError
        If its audio is protected, or its tags are under QuickTime keys, where no other tagger would look.
    TagReadError
        If there is no moov, or atoms extend past their parents.
    """
    top = atoms(view, 0, view.size)
    moov = first_of(top, b"moov")
    if moov is None:
        raise TagReadError("the MP4 file has no index (moov); it is damaged or truncated")
    check_mp4(view, moov)
    path = _tag_path(view, moov)
    metas = [*path[2:3], *(atom for atom in inside(view, moov) if atom.name == b"meta")]
    if any(_is_keyed(view, atom, whole=atom in path) for atom in metas):
        raise NotTaggableError("the MP4 file has its tags under QuickTime keys, where none can be written safely")
    return Mp4("mp4", view, field, tuple(top), path)


def _is_keyed(view: PatchedFile, meta: Atom, *, whole: bool) -> bool:
    """Return whether "meta" holds numbered items with a table of keys; if it is not the `whole` tag, a genre, too."""
    children = inside(view, meta)
    handler, keys = first_of(children, b"hdlr"), first_of(children, b"keys")
    if handler is None or keys is None or view.at(handler.body + 8, 4) != b"mdta":
        return False
    return whole or b"genre" in view.at(keys.body, min(keys.end - keys.body, _MAX_KEYS)).lower()


def _tag_path(view: PatchedFile, moov: Atom) -> tuple[Atom, ...]:
    paths = []
    for udta in [atom for atom in inside(view, moov) if atom.name == b"udta"]:
        path = [moov, udta]
        for name in (b"meta", b"ilst"):
            found = first_of(inside(view, path[-1]), name)
            if found is None:
                break
            path.append(found)
        paths.append(tuple(path))
    return max(paths, key=len, default=(moov,))
