"""ASF and WMA: exchange the genre attributes in the header object; every other object keeps its bytes.

The first genre stands in the extended content description, further ones in the metadata library, as mutagen and
TagLib write them.

References
----------
Microsoft: Advanced Systems Format (ASF) Specification, revision 01.20.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import bulk
from genrify_tagger.tags.model import GENRE, Edit, Piece, check_count, weave
from genrify_tagger.tags.view import View


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


HEADER = _guid("75B22630-668E-11CF-A6D9-00AA0062CE6C")
_PROPERTIES = _guid("8CABDCA1-A947-11CF-8EE4-00C00C205365")
_CONTENT = _guid("D2D0A440-E307-11D2-97F0-00A0C95EA850")
_EXTENSION = _guid("5FBF03B5-A92E-11CF-8EE3-00C00C205365")
_METADATA = _guid("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA")
_LIBRARY = _guid("44231C94-9498-49D1-A141-1D134E457054")
_PADDING = _guid("1806D474-CADF-4509-A4BA-9AABCB96AAE8")
_PLACES = {"asf:content": _CONTENT, "asf:metadata": _METADATA, "asf:library": _LIBRARY}
_OBJECT, _EXTENSION_HEAD, _HEADER_HEAD = 24, 46, 30
_TEXT_TYPE = 0


def _objects(data: bytes, start: int) -> list[bytes]:
    found, at, view = [], start, memoryview(data)
    while at < len(data):
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if size < _OBJECT or at + size > len(data):
            raise TagReadError("the ASF header is damaged")
        found.append(bulk.once(view[at : at + size]))
        at += size
    return found


def _sized(guid: bytes, *body: bytes) -> bytes:
    return b"".join([guid, (sum(map(len, body)) + _OBJECT).to_bytes(8, "little"), *body])


def _records(data: bytes) -> list[bytes]:
    """Cut one of the three objects of attributes into its records."""
    count, at, found = int.from_bytes(data[24:26], "little"), 26, []
    check_count(count, "ASF attributes")
    view = memoryview(data)
    for _ in range(count):
        end = at + _record_size(data[:16], view[at:])
        if end > len(data):
            raise TagReadError("the ASF header's attributes are damaged")
        found.append(bulk.once(view[at:end]))
        at = end
    return found


def _record_size(guid: bytes, data: memoryview) -> int:
    if guid == _CONTENT:
        name = int.from_bytes(data[:2], "little")
        return 6 + name + int.from_bytes(data[4 + name : 6 + name], "little")
    return 12 + int.from_bytes(data[4:6], "little") + int.from_bytes(data[8:12], "little")


def _name(guid: bytes, record: bytes) -> str:
    start, length = (2, record[0:2]) if guid == _CONTENT else (12, record[4:6])
    return record[start : start + int.from_bytes(length, "little")].decode("utf-16-le", "replace").rstrip("\0")


def _value(guid: bytes, record: bytes) -> tuple[str, ...]:
    name = int.from_bytes(record[:2] if guid == _CONTENT else record[4:6], "little")
    kind = record[2 + name : 4 + name] if guid == _CONTENT else record[6:8]
    if int.from_bytes(kind, "little") != _TEXT_TYPE:
        return ()
    text = record[6 + name if guid == _CONTENT else 12 + name :].decode("utf-16-le", "replace").rstrip("\0")
    return (text,) if text else ()


def _make_record(guid: bytes, name: str, text: str) -> bytes:
    key, value = (f"{part}\0".encode("utf-16-le") for part in (name, text))
    if guid == _CONTENT:
        if len(value) > 0xFFFF:
            raise WriteRefusedError("the genre is too long for an ASF file")
        sizes = len(key).to_bytes(2, "little"), bytes(2) + len(value).to_bytes(2, "little")
        return sizes[0] + key + sizes[1] + value
    return bytes(4) + len(key).to_bytes(2, "little") + bytes(2) + len(value).to_bytes(4, "little") + key + value


@dataclass(frozen=True)
class Asf:
    """The genre field of an ASF file.

    Attributes
    ----------
    head : bytes
        The first 30 bytes of the header object.
    objects : tuple of bytes
        The objects of the header, the extension's head (46 bytes) among them without its content.
    inner : tuple of bytes
        The objects of the header extension.
    """

    container: str
    view: View
    field: str
    head: bytes
    objects: tuple[bytes, ...]
    inner: tuple[bytes, ...]

    @property
    def _key(self) -> str:
        return "WM/Genre" if self.field == GENRE else self.field

    @property
    def _size(self) -> int:
        return int.from_bytes(self.head[16:24], "little")

    def _is_field(self, guid: bytes, record: bytes) -> bool:
        return _name(guid, record).casefold() == self._key.casefold()

    def _find(self, place: str) -> bytes | None:
        return next((each for each in (*self.objects, *self.inner) if each[:16] == _PLACES[place]), None)

    def _all_records(self, place: str) -> list[bytes]:
        found = self._find(place)
        return [] if found is None else _records(found)

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
    def voices(self) -> tuple[tuple[str, ...], ...]:
        """What the attributes say together."""
        if not self.pieces:
            return ()
        return (tuple(name for piece in self.pieces for name in _value(_PLACES[piece.place], piece.data)),)

    @property
    def layout(self) -> dict[str, Any]:
        """How long the header is, and which objects exist."""
        return {"header": self._size, "places": [place for place in _PLACES if self._find(place) is not None]}

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return an attribute in the content description for the first genre, in the library for the others."""
        made = []
        for place, part in (("asf:content", genres[:1]), ("asf:library", genres[1:])):
            former = [piece for piece in self.pieces if piece.place == place]
            guid = _PLACES[place]
            name = _name(guid, former[0].data) if former else self._key
            at = former[0].at if former else len(self._all_records(place))
            made += [Piece(place, at + i, _make_record(guid, name, text)) for i, text in enumerate(part)]
        return tuple(made)

    def splice(self, pieces: Sequence[Piece], hints: Mapping[str, Any]) -> list[Edit]:
        """Return the edits: the header object, in which padding makes up for growth if there is enough of it."""
        if tuple(pieces) == self.pieces:
            return []
        changed = self
        for place in _PLACES:
            wanted = [piece for piece in pieces if piece.place == place]
            if wanted != [piece for piece in self.pieces if piece.place == place]:
                changed = changed._with_records(place, wanted, keep=place in hints.get("places", _PLACES))
        data = changed._build(hints.get("header", self._size), self._size)
        return [Edit(0, self._size, data)]

    def _with_records(self, place: str, wanted: Sequence[Piece], *, keep: bool) -> Asf:
        guid = _PLACES[place]
        woven = weave([r for r in self._all_records(place) if not self._is_field(guid, r)], wanted)
        if len(woven) > 0xFFFF:
            raise WriteRefusedError("the ASF file has too many attributes")
        former = self._find(place)
        behind = former[26 + sum(map(len, _records(former))) :] if former else b""
        fresh = _sized(guid, len(woven).to_bytes(2, "little"), *woven, behind)
        changed = [] if not woven and not keep else [fresh]
        outer = place == "asf:content"
        siblings = list(self.objects if outer else self.inner)
        if former is not None:
            at = siblings.index(former)
            siblings[at : at + 1] = changed
        else:
            siblings += changed
        return replace(self, objects=tuple(siblings)) if outer else replace(self, inner=tuple(siblings))

    def _build(self, wanted: int, former: int) -> bytes:
        objects = list(self.objects)
        size = _HEADER_HEAD + sum(map(len, objects)) + sum(map(len, self.inner))
        padding = next((i for i, each in enumerate(objects) if each[:16] == _PADDING), None)
        if padding is not None and len(objects[padding]) + wanted - size >= _OBJECT:
            room = len(objects[padding]) + wanted - size - _OBJECT
            objects[padding] = _sized(_PADDING, objects[padding][_OBJECT:][:room].ljust(room, b"\0"))
            size = wanted
        head = [self.head[:16], size.to_bytes(8, "little"), len(objects).to_bytes(4, "little"), self.head[28:30]]
        return b"".join([*head, *(self._filled(each, size - former) for each in objects)])

    def _filled(self, each: bytes, grown: int) -> bytes:
        if each[:16] == _EXTENSION:
            return _sized(_EXTENSION, each[24:42], sum(map(len, self.inner)).to_bytes(4, "little"), *self.inner)
        if each[:16] == _PROPERTIES and int.from_bytes(each[40:48], "little") == self.view.size:
            return each[:40] + (self.view.size + grown).to_bytes(8, "little") + each[48:]
        return each

    def others(self) -> list[bytes]:
        """Return every other attribute and every other object."""
        kept = []
        for place, guid in _PLACES.items():
            kept += [record for record in self._all_records(place) if not self._is_field(guid, record)]
        skipped = (*_PLACES.values(), _PADDING, _EXTENSION)
        for each in (*self.objects, *self.inner):
            if each[:16] == _PROPERTIES:
                kept.append(each[:40] + each[48:])
            elif each[:16] not in skipped:
                kept.append(each)
        return kept


def open_asf(view: View, field: str) -> Asf:
    """Read the genre of an ASF file.

    Raises
    ------
    TagReadError
        If the header's objects do not add up, or the extension that holds further attributes is missing.
    """
    head = view.exactly(0, _HEADER_HEAD, "ASF header")
    data = view.exactly(0, int.from_bytes(head[16:24], "little"), "ASF header")
    objects = _objects(data, _HEADER_HEAD)
    at = next((i for i, each in enumerate(objects) if each[:16] == _EXTENSION), None)
    if at is None or len(objects[at]) < _EXTENSION_HEAD:
        raise TagReadError("the ASF header is damaged: it has no extension")
    inner = _objects(objects[at], _EXTENSION_HEAD)
    objects[at] = objects[at][:_EXTENSION_HEAD]
    return Asf("asf", view, field, head, tuple(objects), tuple(inner))
