"""The atoms of an MP4 file, and its tables of offsets, which must be corrected when the audio moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags.model import Edit
from genrify_tagger.tags.patched_file import PatchedFile

_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"udta", b"moof", b"traf", b"mfra", b"edts", b"dinf"}
_TOP = {b"moov", b"mdat", b"moof", b"mfra", b"free", b"skip", b"wide", b"uuid", b"sidx", b"styp", b"meta", b"udta"}
_MAX_ATOMS = 200_000


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom: `start` is the offset of its header, `body` that of its content."""

    name: bytes
    start: int
    body: int
    end: int


def atoms(view: PatchedFile, start: int, end: int) -> list[Atom]:
    """List the atoms between two offsets.

    The samples of a truncated file end at its end; any other atom must be complete.

    Raises
    ------
    TagReadError
        If one extends past its parent.
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
        if end == view.size and head[4:8] == b"mdat" and start + size > end:
            size = end - start
        if end == view.size and _is_junk(head[4:8], found, fits=body - start <= size <= end - start):
            break
        if size < body - start or start + size > end or len(found) >= _MAX_ATOMS:
            raise TagReadError("the MP4 file is damaged or truncated")
        found.append(Atom(head[4:8], start, body, start + size))
        start += size
    return found


def _is_junk(name: bytes, before: Sequence[Atom], *, fits: bool) -> bool:
    """Return whether these bytes are not an atom but junk after a complete file, which players ignore."""
    names = {atom.name for atom in before}
    return not fits and name not in _TOP and b"moov" in names and not names.isdisjoint((b"mdat", b"moof"))


def first_of(found: Sequence[Atom], name: bytes) -> Atom | None:
    """Return the first atom of that name."""
    return next((atom for atom in found if atom.name == name), None)


def inside(view: PatchedFile, atom: Atom) -> list[Atom]:
    """List the atoms in another one."""
    return atoms(view, content_start(view, atom), atom.end)


def content_start(view: PatchedFile, atom: Atom) -> int:
    """Return where the atoms in another one begin."""
    # "meta" is a full atom (four bytes of version and flags) in MP4, and a plain one in QuickTime.
    if atom.name == b"meta" and view.at(atom.body + 4, 4) != b"hdlr":
        return atom.body + 4
    return atom.body


def leaves(view: PatchedFile, top: Sequence[Atom], meta: Atom | None) -> Iterator[Atom]:
    """Yield the atoms without known children, `meta` being the one "meta" to look into."""
    stack = list(reversed(top))
    while stack:
        atom = stack.pop()
        if atom.name in _PARENTS or atom == meta:
            stack.extend(reversed(inside(view, atom)))
        else:
            yield atom


def shift_offsets(view: PatchedFile, atoms: Iterable[Atom], border: int, by: int) -> list[Edit]:
    """Correct the tables of offsets among `atoms` for everything after `border`.

    Raises
    ------
    WriteRefusedError
        If there is a table of an unknown kind.
    """
    edits = []
    for atom in atoms:
        if atom.name in (b"stco", b"co64"):
            edits.append(_shift_table(view, atom, border, by))
        elif atom.name == b"tfhd" and view.at(atom.body + 3, 1)[0] & 1:
            edits.append(_shift_numbers(view, atom.body + 8, 1, 8, border, by))
        elif atom.name == b"tfra":
            edits += _shift_fragments(view, atom, border, by)
        elif atom.name in (b"iloc", b"saio"):
            raise WriteRefusedError(f"the MP4 file has a table of offsets ({atom.name.decode()}) that cannot be moved")
    return edits


def _shift_table(view: PatchedFile, atom: Atom, border: int, by: int) -> Edit:
    width = 4 if atom.name == b"stco" else 8
    count = int.from_bytes(view.at(atom.body + 4, 4), "big")
    if atom.body + 8 + count * width > atom.end:
        raise TagReadError("the MP4 file's table of offsets is damaged")
    return _shift_numbers(view, atom.body + 8, count, width, border, by)


def _shift_numbers(view: PatchedFile, at: int, count: int, width: int, border: int, by: int) -> Edit:
    data = view.exactly(at, count * width, "table of offsets")
    numbers = (int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width))
    moved = [number + by if number >= border else number for number in numbers]
    if any(number >= 1 << (8 * width) for number in moved):
        raise WriteRefusedError("the MP4 file is too long for its table of offsets")
    return Edit(at, at + len(data), b"".join(number.to_bytes(width, "big") for number in moved))


def _shift_fragments(view: PatchedFile, atom: Atom, border: int, by: int) -> list[Edit]:
    wide = view.at(atom.body, 1)[0] == 1
    sizes = int.from_bytes(view.at(atom.body + 8, 4), "big")
    count = int.from_bytes(view.at(atom.body + 12, 4), "big")
    time = 8 if wide else 4
    step = 2 * time + sum(((sizes >> shift) & 3) + 1 for shift in (4, 2, 0))
    if atom.body + 16 + count * step > atom.end:
        raise TagReadError("the MP4 file's table of fragments is damaged")
    places = range(atom.body + 16 + time, atom.body + 16 + time + count * step, step)
    return [_shift_numbers(view, place, 1, time, border, by) for place in places]
