"""ASF and WMA: replace the genre attributes in the header object; every other object keeps its bytes.

The first genre is in the extended content description, further ones are in the metadata library, as mutagen and TagLib
write them.

References
----------
Microsoft: Advanced Systems Format (ASF) Specification, revision 01.20.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.asf_attributes import (
    CONTENT,
    LIBRARY,
    METADATA,
    OBJECT,
    Attributes,
    cut_attributes,
    make_guid,
    make_record,
    record_name,
    record_value,
    sized_object,
    total_length,
)
from genrify_tagger.tags.model import GENRE, Edit, Piece, insert_at
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.protection import check_asf
from genrify_tagger.tags.tagged_stream import check_trailing_tags

HEADER = make_guid("75B22630-668E-11CF-A6D9-00AA0062CE6C")
_PROPERTIES = make_guid("8CABDCA1-A947-11CF-8EE4-00C00C205365")
_EXTENSION = make_guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
_DESCRIPTION = make_guid("75B22633-668E-11CF-A6D9-00AA0062CE6C")
_PADDING = make_guid("1806D474-CADF-4509-A4BA-9AABCB96AAE8")
_PLACES = {"asf:content": CONTENT, "asf:metadata": METADATA, "asf:library": LIBRARY}
_EXTENSION_HEAD, _HEADER_HEAD, _STREAM_HEAD = 46, 30, 74
_BROADCAST = 1


Object = bytes | Attributes


def _parts(each: Object) -> list[bytes]:
    return each.parts() if isinstance(each, Attributes) else [each]


def _cut(data: memoryview, start: int) -> list[memoryview]:
    """Split the header, or the header extension, into its objects."""
    found, at = [], start
    while at < len(data):
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if size < OBJECT or at + size > len(data):
            raise TagReadError("the ASF header is damaged")
        found.append(data[at : at + size])
        at += size
    return found


def _opened(data: memoryview) -> Object:
    """Split an object with attributes into these; of the header extension, keep only the head."""
    guid = bytes(data[:16])
    if guid == _EXTENSION:
        return bytes(data[:_EXTENSION_HEAD])
    return cut_attributes(guid, data) if guid in _PLACES.values() else memory_budget.deduplicated(data)


@dataclass(frozen=True)
class Asf:
    """The genre field of an ASF file.

    Attributes
    ----------
    head : bytes
        The first 30 bytes of the header object.
    objects : tuple of bytes or Attributes
        The objects of the header, the extension's head (46 bytes) among them without its content.
    inner : tuple of bytes or Attributes
        The objects of the header extension.

    In both, objects with attributes are split further. They may be in either.
    """

    container: str
    view: PatchedFile
    field: str
    head: bytes
    objects: tuple[Object, ...]
    inner: tuple[Object, ...]

    @property
    def _key(self) -> str:
        return "WM/Genre" if self.field == GENRE else self.field

    @property
    def _size(self) -> int:
        return int.from_bytes(self.head[16:24], "little")

    def _is_field(self, guid: bytes, record: bytes) -> bool:
        return record_name(guid, record).casefold() in {self._key.casefold(), self.field.casefold()}

    def _found(self, place: str) -> list[Attributes]:
        cut = (each for each in (*self.objects, *self.inner) if isinstance(each, Attributes))
        return [each for each in cut if each.guid == _PLACES[place]]

    def _find(self, place: str) -> Attributes | None:
        return next(iter(self._found(place)), None)

    @property
    def is_doubled(self) -> bool:
        """Whether the field is in the second of two objects of a kind, of which only the first is changed."""
        others = [(guid, each) for place, guid in _PLACES.items() for each in self._found(place)[1:]]
        return any(self._is_field(guid, record) for guid, each in others for record in each.records)

    def _all_records(self, place: str) -> tuple[bytes, ...]:
        found = self._find(place)
        return () if found is None else found.records

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The genre attributes."""
        return tuple(
            Piece(place, index, record)
            for place, guid in _PLACES.items()
            for index, record in enumerate(self._all_records(place))
            if self._is_field(guid, record)
        )

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in all attributes together."""
        if not self.pieces:
            return ()
        return (tuple(name for piece in self.pieces for name in record_value(_PLACES[piece.place], piece.data)),)

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return an attribute in the content description for the first genre, in the library for the others."""
        if genres and not self.pieces and not self._is_shown:
            check_trailing_tags(self.view, genres)
        made = []
        for place, part in (("asf:content", genres[:1]), ("asf:library", genres[1:])):
            former = [piece for piece in self.pieces if piece.place == place]
            guid = _PLACES[place]
            name = record_name(guid, former[0].data) if former else self._key
            name = name if name.casefold() == self._key.casefold() else self._key
            at = former[0].at if former else len(self._all_records(place))
            made += [Piece(place, at + i, make_record(guid, name, text)) for i, text in enumerate(part)]
        return tuple(made)

    @property
    def _is_shown(self) -> bool:
        """Whether there is a title, an artist or an attribute that players show."""
        described = any(
            each[:16] == _DESCRIPTION and any(each[24:34]) for each in self.objects if isinstance(each, bytes)
        )
        names = (record_name(_PLACES[p], record).casefold() for p in _PLACES for record in self._all_records(p))
        return described or any(
            name.startswith(("wm/album", "wm/track", "wm/year", "title", "author")) for name in names
        )

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: the header object, where padding makes up for growth if there is enough of it."""
        if tuple(pieces) == self.pieces:
            return []
        changed = self
        for place in _PLACES:
            wanted = [piece for piece in pieces if piece.place == place]
            if wanted != [piece for piece in self.pieces if piece.place == place]:
                changed = changed._with_records(place, wanted)
        return [Edit(0, self._size, changed._build(self._size))]

    def _with_records(self, place: str, wanted: Sequence[Piece]) -> Asf:
        guid = _PLACES[place]
        combined = insert_at([r for r in self._all_records(place) if not self._is_field(guid, r)], wanted)
        if len(combined) > 0xFFFF:
            raise WriteRefusedError("the ASF file has too many attributes")
        former = self._find(place)
        fresh = Attributes(guid, tuple(combined), former.behind if former else b"")
        if former is not None:
            replaced = [[new for each in part for new in ([fresh] if each is former else [each])] for part in self._all]
            return replace(self, objects=tuple(replaced[0]), inner=tuple(replaced[1]))
        if place == "asf:content":
            return replace(self, objects=(*self.objects, fresh))
        return replace(self, inner=(*self.inner, fresh))

    @property
    def _all(self) -> tuple[tuple[Object, ...], tuple[Object, ...]]:
        return self.objects, self.inner

    def _build(self, former: int) -> bytes:
        inner = [part for each in self.inner for part in _parts(each)]
        objects = [_parts(each) for each in self.objects]
        size = _HEADER_HEAD + total_length(inner) + sum(map(total_length, objects))
        padding = next((i for i, parts in enumerate(objects) if parts[0][:16] == _PADDING), None)
        if padding is not None and total_length(objects[padding]) + former - size >= OBJECT:
            room = total_length(objects[padding]) + former - size - OBJECT
            objects[padding] = sized_object(_PADDING, objects[padding][0][OBJECT:][:room].ljust(room, b"\0"))
            size = former
        head = [self.head[:16], size.to_bytes(8, "little"), len(objects).to_bytes(4, "little"), self.head[28:30]]
        filled = (self._filled(parts, inner, size - former) for parts in objects)
        return b"".join([*head, *itertools.chain.from_iterable(filled)])

    def _filled(self, parts: list[bytes], inner: list[bytes], grown: int) -> list[bytes]:
        first = parts[0]
        if first[:16] == _EXTENSION:
            return sized_object(_EXTENSION, first[24:42], total_length(inner).to_bytes(4, "little"), *inner)
        if first[:16] == _PROPERTIES and not first[88] & _BROADCAST:  # of a broadcast the size is not known
            return [first[:40] + (self.view.size + grown).to_bytes(8, "little") + first[48:]]
        return parts

    def others(self) -> list[bytes]:
        """Return every other attribute and every other object."""
        kept = []
        for place, guid in _PLACES.items():
            records = (record for each in self._found(place) for record in each.records)
            kept += [record for record in records if not self._is_field(guid, record)]
        for each in (*self.objects, *self.inner):
            if isinstance(each, Attributes):
                kept += [each.behind] if each.behind else []
            elif each[:16] == _PROPERTIES:
                kept.append(each[:40] + each[48:])
            elif each[:16] not in (_PADDING, _EXTENSION):
                kept.append(each)
        return kept


def open_asf(view: PatchedFile, field: str) -> Asf:
    """Read the genre of an ASF file.

    Raises
    ------
    NotTaggableError
        If its audio is protected.
    TagReadError
        If the header's objects do not add up, or the extension that holds further attributes is missing.
    """
    head = view.exactly(0, _HEADER_HEAD, "ASF header")
    data = memoryview(view.exactly(0, int.from_bytes(head[16:24], "little"), "ASF header"))
    objects = _cut(data, _HEADER_HEAD)
    extension = next((each for each in objects if each[:16] == _EXTENSION), memoryview(b""))
    if len(extension) < _EXTENSION_HEAD:
        raise TagReadError("the ASF header is damaged: it has no extension")
    inner = _cut(extension, _EXTENSION_HEAD)
    if sum(each[:16] == _EXTENSION for each in (*objects, *inner)) > 1:
        raise TagReadError("the ASF header is damaged: it has two extensions")
    check_asf([bytes(each[:_STREAM_HEAD]) for each in (*objects, *inner)])
    asf = Asf("asf", view, field, head, tuple(map(_opened, objects)), tuple(map(_opened, inner)))
    if asf.is_doubled:
        raise TagReadError("the ASF header is damaged: the genre is in the second of two objects that must be unique")
    return asf
