"""The attributes of an ASF file: records of a name and a value in three kinds of objects."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import check_count


def make_guid(text: str) -> bytes:
    """Return the bytes of a GUID as ASF stores them."""
    return uuid.UUID(text).bytes_le


CONTENT = make_guid("D2D0A440-E307-11D2-97F0-00A0C95EA850")
METADATA = make_guid("C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA")
LIBRARY = make_guid("44231C94-9498-49D1-A141-1D134E457054")
OBJECT = 24
_TEXT_TYPE = 0


@dataclass(frozen=True, slots=True)
class Attributes:
    """One of the three objects of attributes, split into its records; `behind` is what follows the records."""

    guid: bytes
    records: tuple[bytes, ...]
    behind: bytes = b""

    def parts(self) -> list[bytes]:
        """Return the object's bytes in pieces."""
        return sized_object(self.guid, len(self.records).to_bytes(2, "little"), *self.records, self.behind)


def cut_attributes(guid: bytes, data: memoryview) -> Attributes:
    """Split an object of attributes into its records."""
    count, at = int.from_bytes(data[24:26], "little"), 26
    found: list[bytes] = []
    check_count(count, "ASF attributes")
    for _ in range(count):
        end = at + _record_size(guid, data[at:])
        if end > len(data):
            raise TagReadError("the ASF header's attributes are damaged")
        found.append(memory_budget.deduplicated(data[at:end]))
        at = end
    return Attributes(guid, tuple(found), memory_budget.deduplicated(data[at:]))


def sized_object(guid: bytes, *body: bytes) -> list[bytes]:
    """Return the bytes of an object, in parts."""
    return [guid + (total_length(body) + OBJECT).to_bytes(8, "little"), *body]


def _record_size(guid: bytes, data: memoryview) -> int:
    if guid == CONTENT:
        name = int.from_bytes(data[:2], "little")
        return 6 + name + int.from_bytes(data[4 + name : 6 + name], "little")
    return 12 + int.from_bytes(data[4:6], "little") + int.from_bytes(data[8:12], "little")


def record_name(guid: bytes, record: bytes) -> str:
    """Return the name in a record."""
    start, length = (2, record[0:2]) if guid == CONTENT else (12, record[4:6])
    return record[start : start + int.from_bytes(length, "little")].decode("utf-16-le", "replace").rstrip("\0")


def record_value(guid: bytes, record: bytes) -> tuple[str, ...]:
    """Return the text in a record; empty if it is not text."""
    name = int.from_bytes(record[:2] if guid == CONTENT else record[4:6], "little")
    kind = record[2 + name : 4 + name] if guid == CONTENT else record[6:8]
    if int.from_bytes(kind, "little") != _TEXT_TYPE:
        return ()
    text = record[6 + name if guid == CONTENT else 12 + name :].decode("utf-16-le", "replace").rstrip("\0")
    return (text,) if text else ()


def make_record(guid: bytes, name: str, text: str) -> bytes:
    """Return a record of text."""
    key, value = (f"{part}\0".encode("utf-16-le") for part in (name, text))
    if guid == CONTENT:
        if len(value) > 0xFFFF:
            raise WriteRefusedError("the genre is too long for an ASF file")
        sizes = len(key).to_bytes(2, "little"), bytes(2) + len(value).to_bytes(2, "little")
        return sizes[0] + key + sizes[1] + value
    return bytes(4) + len(key).to_bytes(2, "little") + bytes(2) + len(value).to_bytes(4, "little") + key + value


def total_length(parts: Iterable[bytes]) -> int:
    """Return the total length of some parts."""
    return sum(map(len, parts))
