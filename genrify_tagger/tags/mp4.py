"""MP4 and M4A: exchange the genre atom in moov.udta.meta.ilst; every other atom keeps its bytes.

Where the atom cannot grow into a neighbouring ``free`` atom, what follows moves, and the tables that point at the
audio (``stco``, ``co64``, ``tfhd``, ``tfra``) are corrected; tables that this does not know make it refuse.

References
----------
ISO/IEC 14496-12 (ISO base media file format); Apple, QuickTime File Format Specification, "Metadata".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import names
from genrify_tagger.tags.model import GENRE, Edit, Piece, weave
from genrify_tagger.tags.view import View

_TEXT, _MEAN = b"\xa9gen", b"com.apple.iTunes"
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"moof", b"traf", b"mfra", b"edts", b"dinf"}
_HANDLER = bytes(8) + b"mdirappl" + bytes(9)
_MAX_ATOMS = 200_000


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom: `start` is where its header stands, `body` where its content begins."""

    name: bytes
    start: int
    body: int
    end: int


def atoms(view: View, start: int, end: int) -> list[Atom]:
    """List the atoms between two offsets.

    Raises
    ------
    TagReadError
        If one leaves its parent.
    """
    found: list[Atom] = []
    while start + 8 <= end:
        head = view.at(start, 16)
        size, body = int.from_bytes(head[:4], "big"), start + 8
        if size == 1:
            size, body = int.from_bytes(head[8:16], "big"), start + 16
        elif size == 0:
            # "To the end of the file" at top level; inside udta it is QuickTime's terminator.
            if end != view.size:
                break
            size = end - start
        if size < body - start or start + size > end or len(found) >= _MAX_ATOMS:
            raise TagReadError("the MP4 file is damaged or cut off")
        found.append(Atom(head[4:8], start, body, start + size))
        start += size
    return found


def _first(found: Sequence[Atom], name: bytes) -> Atom | None:
    return next((atom for atom in found if atom.name == name), None)


def _inside(view: View, atom: Atom) -> list[Atom]:
    return atoms(view, _content_start(view, atom), atom.end)


def _content_start(view: View, atom: Atom) -> int:
    # "meta" is a full atom (four bytes of version and flags) in MP4, and a plain one in QuickTime.
    if atom.name == b"meta" and view.at(atom.body + 4, 4) != b"hdlr":
        return atom.body + 4
    return atom.body


def _make(name: bytes, content: bytes) -> bytes:
    if len(content) + 8 >= 1 << 32:
        raise WriteRefusedError("an atom of the MP4 file would become too large")
    return (len(content) + 8).to_bytes(4, "big") + name + content


@dataclass(frozen=True)
class Mp4:
    """The genre field of an MP4 file.

    Attributes
    ----------
    path : tuple of Atom
        moov, then as many of udta, meta and ilst as exist.
    """

    container: str
    view: View
    field: str
    top: tuple[Atom, ...]
    path: tuple[Atom, ...]

    @property
    def _children(self) -> list[bytes]:
        if len(self.path) < 4:
            return []
        ilst = self.path[3]
        body = self.view.exactly(ilst.body, ilst.end - ilst.body, "MP4 tag")
        spans = atoms(self.view, ilst.body, ilst.end)
        parts = [body[atom.start - ilst.body : atom.end - ilst.body] for atom in spans]
        rest = body[spans[-1].end - ilst.body if spans else 0 :]
        return [*parts, rest] if rest else parts

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The genre atoms."""
        return tuple(Piece("mp4", i, a) for i, a in enumerate(self._children) if _is_field(a, self.field))

    @property
    def voices(self) -> tuple[tuple[str, ...], ...]:
        """What each of the genre atoms says."""
        text_first = sorted(self.pieces, key=lambda piece: piece.data[4:8] == b"gnre")
        return tuple(_values(piece.data) for piece in text_first)

    @property
    def layout(self) -> dict[str, Any]:
        """How long moov is, and how much of the way to the tag exists."""
        return {"moov": self.path[0].end - self.path[0].start, "depth": len(self.path)}

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return one atom with one value for each genre."""
        if not genres:
            return ()
        at = self.pieces[0].at if self.pieces else len(self._children)
        data = b"".join(_make(b"data", b"\0\0\0\1" + bytes(4) + name.encode("utf-8")) for name in genres)
        if self.field == GENRE:
            return (Piece("mp4", at, _make(_TEXT, data)),)
        named = _make(b"mean", bytes(4) + _MEAN) + _make(b"name", bytes(4) + self.field.encode("ascii"))
        return (Piece("mp4", at, _make(b"----", named + data)),)

    def splice(self, pieces: Sequence[Piece], hints: Mapping[str, Any]) -> list[Edit]:
        """Return the edits: the tag, the free space behind it, sizes of its parents, tables of offsets."""
        if tuple(pieces) == self.pieces:
            return []
        woven = weave([part for part in self._children if not _is_field(part, self.field)], pieces)
        edit, depth = self._tag_edit(woven, hints)
        edits = [edit, *self._settle(edit, depth, hints)]
        grown = sum(len(each.new) - (each.end - each.start) for each in edits)
        if grown:
            edits += self._resize(self.path[:depth], grown) + self._shift(edit.end, grown)
        elif depth == 4:
            edits += []
        return sorted(edits, key=lambda each: each.start)

    def _tag_edit(self, children: Sequence[bytes], hints: Mapping[str, Any]) -> tuple[Edit, int]:
        """Return the edit of the tag itself, and how many of `path` contain it (and must be resized)."""
        depth = int(hints.get("depth", 4))
        if not children and depth < len(self.path) == 4 and self._alone(depth):
            gone = self.path[depth]
            return Edit(gone.start, gone.end, b""), depth
        content = b"".join(children)
        if len(self.path) == 4:
            return Edit(self.path[3].start, self.path[3].end, _make(b"ilst", content)), 3
        made = _make(b"ilst", content)
        if len(self.path) < 3:
            made = _make(b"meta", bytes(4) + _make(b"hdlr", _HANDLER) + made)
        if len(self.path) < 2:
            made = _make(b"udta", made)
        inner = _inside(self.view, self.path[-1])
        # Behind the last child, but before QuickTime's terminator.
        at = inner[-1].end if inner else _content_start(self.view, self.path[-1])
        return Edit(at, at, made), len(self.path)

    def _alone(self, depth: int) -> bool:
        """Return whether nothing but what a write here makes is in the atoms below `depth`."""
        made = {b"udta": {b"meta"}, b"meta": {b"hdlr", b"ilst"}}
        return all({a.name for a in _inside(self.view, p)} <= made[p.name] for p in self.path[depth:3])

    def _settle(self, edit: Edit, depth: int, hints: Mapping[str, Any]) -> list[Edit]:
        if depth != 3 or len(self.path) != 4:
            return []
        free = next((atom for atom in _inside(self.view, self.path[2]) if atom.start == edit.end), None)
        size = self.path[0].end - self.path[0].start
        change = int(hints.get("moov", size)) - size - (len(edit.new) - (edit.end - edit.start))
        if free is None or free.name != b"free" or free.body - free.start != 8 or not change:
            return []
        room = free.end - free.body + change
        if room < 0:
            return []
        kept = self.view.at(free.body, min(room, free.end - free.body))
        return [Edit(free.start, free.end, _make(b"free", kept + bytes(room - len(kept))))]

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
        """Correct the offsets of all that stands behind `border`."""
        if all(atom.end <= border or atom is self.path[0] for atom in self.top):
            return []
        edits = []
        for atom in self._leaves():
            if atom.name in (b"stco", b"co64"):
                edits.append(self._shift_table(atom, border, by))
            elif atom.name == b"tfhd" and self.view.at(atom.body + 3, 1)[0] & 1:
                edits.append(self._shift_numbers(atom.body + 8, 1, 8, border, by))
            elif atom.name == b"tfra":
                edits += self._shift_fragments(atom, border, by)
            elif atom.name in (b"iloc", b"saio"):
                raise WriteRefusedError(
                    f"the MP4 file has a table of offsets ({atom.name.decode()}) that cannot be moved"
                )
        return edits

    def _shift_table(self, atom: Atom, border: int, by: int) -> Edit:
        width = 4 if atom.name == b"stco" else 8
        count = int.from_bytes(self.view.at(atom.body + 4, 4), "big")
        if atom.body + 8 + count * width > atom.end:
            raise TagReadError("the MP4 file's table of offsets is damaged")
        return self._shift_numbers(atom.body + 8, count, width, border, by)

    def _shift_numbers(self, at: int, count: int, width: int, border: int, by: int) -> Edit:
        data = self.view.exactly(at, count * width, "table of offsets")
        numbers = (int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width))
        moved = [number + by if number >= border else number for number in numbers]
        if any(number >= 1 << (8 * width) for number in moved):
            raise WriteRefusedError("the MP4 file is too long for its table of offsets")
        return Edit(at, at + len(data), b"".join(number.to_bytes(width, "big") for number in moved))

    def _shift_fragments(self, atom: Atom, border: int, by: int) -> list[Edit]:
        wide = self.view.at(atom.body, 1)[0] == 1
        sizes = int.from_bytes(self.view.at(atom.body + 8, 4), "big")
        count = int.from_bytes(self.view.at(atom.body + 12, 4), "big")
        time = 8 if wide else 4
        step = 2 * time + sum(((sizes >> shift) & 3) + 1 for shift in (4, 2, 0))
        if atom.body + 16 + count * step > atom.end:
            raise TagReadError("the MP4 file's table of fragments is damaged")
        places = range(atom.body + 16 + time, atom.body + 16 + time + count * step, step)
        return [self._shift_numbers(place, 1, time, border, by) for place in places]

    def _leaves(self) -> Iterator[Atom]:
        """Yield the atoms without known children, below all but the media data."""
        stack = list(reversed(self.top))
        while stack:
            atom = stack.pop()
            if atom.name in _PARENTS or (atom.name == b"meta" and len(self.path) > 2 and atom == self.path[2]):
                stack.extend(reversed(_inside(self.view, atom)))
            else:
                yield atom

    def others(self) -> list[bytes]:
        """Return every other atom of the tag, and a hash of every other atom but the tables of offsets."""
        skipped = {b"stco", b"co64", b"tfhd", b"tfra", b"mdat", b"free", b"ilst"}
        kept = [part for part in self._children if not _is_field(part, self.field)]
        made = {b"hdlr"} if len(self.path) > 2 else set()
        for atom in self._leaves():
            if atom.name not in skipped and not (atom.name in made and self._is_ours(atom)):
                content = self.view.at(atom.body, atom.end - atom.body)
                kept.append(atom.name + hashlib.blake2b(content, digest_size=16).digest())
        return kept

    def _is_ours(self, atom: Atom) -> bool:
        return self.view.at(atom.body, atom.end - atom.body) == _HANDLER


def _is_field(atom: bytes, field: str) -> bool:
    name = atom[4:8]
    if field == GENRE:
        return name in (_TEXT, b"gnre")
    if name != b"----":
        return False
    parts = {part[4:8]: part[12:] for part in _split(atom)}
    return parts.get(b"mean") == _MEAN and parts.get(b"name", b"").lower() == field.lower().encode("ascii")


def _split(atom: bytes) -> list[bytes]:
    parts, at = [], 8
    while at + 8 <= len(atom):
        size = int.from_bytes(atom[at : at + 4], "big")
        if size < 8:
            break
        parts.append(atom[at : at + size])
        at += size
    return parts


def _values(atom: bytes) -> tuple[str, ...]:
    data = [part for part in _split(atom) if part[4:8] == b"data"]
    if atom[4:8] == b"gnre":
        return tuple(name for part in data for name in names.from_gnre(int.from_bytes(part[16:18], "big")))
    texts = (_decoded(part) for part in data)
    return tuple(text for text in texts if text)


def _decoded(data: bytes) -> str:
    return data[16:].decode("utf-16-be" if data[11:12] == b"\x02" else "utf-8", "replace")


def open_mp4(view: View, field: str) -> Mp4:
    """Read the genre of an MP4 file.

    Raises
    ------
    TagReadError
        If there is no moov, or atoms leave their parents.
    """
    top = atoms(view, 0, view.size)
    moov = _first(top, b"moov")
    if moov is None:
        raise TagReadError("the MP4 file has no index (moov); it is damaged or cut off")
    return Mp4("mp4", view, field, tuple(top), _tag_path(view, moov))


def _tag_path(view: View, moov: Atom) -> tuple[Atom, ...]:
    paths = []
    for udta in [atom for atom in _inside(view, moov) if atom.name == b"udta"]:
        path = [moov, udta]
        for name in (b"meta", b"ilst"):
            found = _first(_inside(view, path[-1]), name)
            if found is None:
                break
            path.append(found)
        paths.append(tuple(path))
    return max(paths, key=len, default=(moov,))
