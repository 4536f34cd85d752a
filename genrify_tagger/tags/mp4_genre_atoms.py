"""The atoms of an MP4 file that may hold a genre: ``ilst`` items, QuickTime text, 3GP assets, ``meta`` elsewhere.

References
----------
Apple, QuickTime File Format Specification, "User data". 3GPP TS 26.244, "Asset information".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.errors import TagReadError
from genrify_tagger.tags import genre_names
from genrify_tagger.tags.model import GENRE, Edit, check_bytes, check_count
from genrify_tagger.tags.mp4_atoms import Atom, atoms, first_of, inside
from genrify_tagger.tags.patched_file import PatchedFile

TEXT, MEAN = b"\xa9gen", b"com.apple.iTunes"


@dataclass(frozen=True, slots=True)
class GenreAtom:
    """A genre atom outside of moov.udta.meta.ilst, which begins at `start`: its bytes, and its genres."""

    start: int
    data: bytes
    genres: tuple[str, ...]

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.data)

    def freed(self) -> Edit:
        """Return the edit that turns it into free space, without moving anything."""
        return Edit(self.start + 4, self.start + 8, b"free")


def genre_atoms(view: PatchedFile, top: Sequence[Atom], own: Atom | None) -> list[GenreAtom]:
    """Return the genre atoms outside of `own`, the "meta" atom that is read and written."""
    found: list[GenreAtom] = []
    for atom in _candidates(view, top):
        if atom.name == b"meta" and atom != own:
            found += _in_meta(view, atom)
        elif atom.name == TEXT:
            data = _bytes_of(view, atom)
            found.append(GenreAtom(atom.start, data, _of_quicktime(data[8:])))
        elif atom.name == b"gnre":
            data = _bytes_of(view, atom)
            found.append(GenreAtom(atom.start, data, _of_3gp(data[8:])))
    return [home for home in found if home.genres]


def _candidates(view: PatchedFile, top: Sequence[Atom]) -> Iterator[Atom]:
    """Yield the atoms that may be, or contain, a genre."""
    yield from (atom for atom in top if atom.name == b"meta")
    moov = first_of(top, b"moov")
    children = inside(view, moov) if moov is not None else []
    for level in [children, *(inside(view, atom) for atom in children if atom.name == b"trak")]:
        for atom in level:
            if atom.name == b"meta":
                yield atom
            elif atom.name == b"udta":
                yield from inside(view, atom)


def _bytes_of(view: PatchedFile, atom: Atom) -> bytes:
    check_bytes(atom.end - atom.start)
    if atom.body - atom.start != 8:
        raise TagReadError("the MP4 file's genre is in an atom of unusual size")
    return view.exactly(atom.start, atom.end - atom.start, "MP4 genre")


def _in_meta(view: PatchedFile, meta: Atom) -> list[GenreAtom]:
    ilst = first_of(inside(view, meta), b"ilst")
    if ilst is None:
        return []
    items = [atom for atom in atoms(view, ilst.body, ilst.end) if atom.name in (TEXT, b"gnre", b"----")]
    check_count(len(items), "MP4 tags")
    read = ((item, view.exactly(item.start, item.end - item.start, "MP4 tag")) for item in items)
    return [GenreAtom(item.start, data, item_values(data)) for item, data in read if is_field(data, GENRE)]


def _of_quicktime(content: bytes) -> tuple[str, ...]:
    """Read international text: for each language its length, its code, and the text."""
    texts, at = [], 0
    while at + 4 <= len(content):
        size, language = int.from_bytes(content[at : at + 2], "big"), int.from_bytes(content[at + 2 : at + 4], "big")
        encoding = "mac-roman" if language < 0x400 else "utf-8"
        texts.append(content[at + 4 : at + 4 + size].decode(encoding, "replace").strip("\0 "))
        at += 4 + size
    return tuple(text for text in texts if text)


def _of_3gp(content: bytes) -> tuple[str, ...]:
    """Read an asset: version and flags, a language, and a text in UTF-8, or in UTF-16 after a byte order mark."""
    text = content[6:]
    wide = text[:2] in (b"\xfe\xff", b"\xff\xfe")
    value = text.decode("utf-16" if wide else "utf-8", "replace").split("\0")[0].strip()
    return (value,) if value else ()


def is_field(atom: bytes, field: str) -> bool:
    """Return whether an item of ``ilst`` holds the field; a free-form item of its name counts, as players show it."""
    name = atom[4:8]
    if field == GENRE and name in (TEXT, b"gnre"):
        return True
    if name != b"----":
        return False
    parts = {part[4:8]: part[12:] for part in _split(atom)}
    return parts.get(b"mean") == MEAN and parts.get(b"name", b"").lower() == field.lower().encode("ascii")


def _split(atom: bytes) -> list[bytes]:
    parts, at = [], 8
    while at + 8 <= len(atom):
        size = int.from_bytes(atom[at : at + 4], "big")
        if size < 8:
            break
        parts.append(atom[at : at + size])
        check_count(len(parts), "MP4 values")
        at += size
    return parts


def item_values(atom: bytes) -> tuple[str, ...]:
    """Return the genres in an item."""
    data = [part for part in _split(atom) if part[4:8] == b"data"]
    if atom[4:8] == b"gnre":
        return tuple(name for part in data for name in genre_names.from_gnre(int.from_bytes(part[16:18], "big")))
    texts = (_decoded(part) for part in data)
    return tuple(text for text in texts if text)


def _decoded(data: bytes) -> str:
    return data[16:].decode("utf-16-be" if data[11:12] == b"\x02" else "utf-8", "replace")
