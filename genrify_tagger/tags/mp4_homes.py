"""Where an MP4 file may have a genre: the items of ``ilst``, QuickTime text, 3GP assets, ``meta`` in other places.

References
----------
Apple, QuickTime File Format Specification, "User data". 3GPP TS 26.244, "Asset information".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.tags import genre_names
from genrify_tagger.tags.model import GENRE, check_bytes, check_count
from genrify_tagger.tags.mp4_atoms import Atom, atoms, first_of, inside
from genrify_tagger.tags.patched_file import PatchedFile

TEXT, MEAN = b"\xa9gen", b"com.apple.iTunes"


@dataclass(frozen=True, slots=True)
class GenreHome:
    """A genre that does not stand in moov.udta.meta.ilst: `where` says it in words."""

    where: str
    genres: tuple[str, ...]


def genre_homes(view: PatchedFile, top: Sequence[Atom], own: Atom | None) -> list[GenreHome]:
    """Return the genres outside of `own`, the "meta" atom that is read and written."""
    found = []
    for parent, atom in _candidates(view, top):
        if atom.name == b"meta" and atom != own:
            found.append(GenreHome(f"a second list of items (in {parent})", _of_meta(view, atom)))
        elif atom.name == TEXT:
            found.append(GenreHome("QuickTime text", _of_quicktime(_content(view, atom))))
        elif atom.name == b"gnre":
            found.append(GenreHome("a 3GP field", _of_3gp(_content(view, atom))))
    return [home for home in found if home.genres]


def _candidates(view: PatchedFile, top: Sequence[Atom]) -> Iterator[tuple[str, Atom]]:
    """Yield the atoms that may hold a genre, each with the name of its parent."""
    yield from (("the file", atom) for atom in top if atom.name == b"meta")
    moov = first_of(top, b"moov")
    children = inside(view, moov) if moov is not None else []
    levels = [("moov", children)]
    levels += [("trak", inside(view, atom)) for atom in children if atom.name == b"trak"]
    for name, level in levels:
        yield from ((name, atom) for atom in level if atom.name == b"meta")
        for udta in (atom for atom in level if atom.name == b"udta"):
            yield from ((f"{name}.udta", atom) for atom in inside(view, udta))


def _content(view: PatchedFile, atom: Atom) -> bytes:
    check_bytes(atom.end - atom.body)
    return view.exactly(atom.body, atom.end - atom.body, "MP4 genre")


def _of_meta(view: PatchedFile, meta: Atom) -> tuple[str, ...]:
    ilst = first_of(inside(view, meta), b"ilst")
    if ilst is None:
        return ()
    items = [atom for atom in atoms(view, ilst.body, ilst.end) if atom.name in (TEXT, b"gnre", b"----")]
    check_count(len(items), "MP4 tags")
    read = (view.exactly(item.start, item.end - item.start, "MP4 tag") for item in items)
    return tuple(name for data in read if is_field(data, GENRE) for name in item_values(data))


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
    """Read an asset: version and flags, a language, and a text in UTF-8, or in UTF-16 behind a byte order mark."""
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
    """Return what a genre item says."""
    data = [part for part in _split(atom) if part[4:8] == b"data"]
    if atom[4:8] == b"gnre":
        return tuple(name for part in data for name in genre_names.from_gnre(int.from_bytes(part[16:18], "big")))
    texts = (_decoded(part) for part in data)
    return tuple(text for text in texts if text)


def _decoded(data: bytes) -> str:
    return data[16:].decode("utf-16-be" if data[11:12] == b"\x02" else "utf-8", "replace")
