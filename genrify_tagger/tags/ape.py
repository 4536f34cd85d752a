"""One APEv2 (or APEv1) tag as bytes: find the genre item and replace it.

References
----------
Hydrogenaudio wiki: APEv2 specification; APE tag item; APE tags header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tag_blocks import APE_FRAME as FRAME
from genrify_tagger.tag_blocks import APE_HAS_HEADER as HAS_HEADER
from genrify_tagger.tag_blocks import APE_IS_HEADER as IS_HEADER
from genrify_tagger.tag_blocks import APE_MAGIC as MAGIC
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.id3_frames import fields_of_v1
from genrify_tagger.tags.model import GENRE, JOIN, check_bytes, check_count


@dataclass(frozen=True)
class ApeTag:
    """An APE tag split into its items.

    Attributes
    ----------
    version : int
        1000 or 2000.
    header, footer : bytes
        32 bytes each as in the file, or nothing.
    items : tuple of bytes
        The items as in the file.
    tail : bytes
        The bytes between the last item and the footer, kept as they are.
    """

    version: int
    header: bytes
    footer: bytes
    items: tuple[bytes, ...]
    tail: bytes = b""

    def build(self) -> list[bytes]:
        """Return the tag's bytes in pieces, which together may be large."""
        body = [*self.items, self.tail]
        size = sum(map(len, body))
        return [_counted(self.header, self, size), *body, _counted(self.footer, self, size)]

    def with_items(self, items: Sequence[bytes]) -> ApeTag:
        """Return the tag with other items."""
        return replace(self, items=tuple(items))


def _counted(frame: bytes, tag: ApeTag, length: int) -> bytes:
    if not frame:
        return b""
    size = length + (FRAME if tag.footer else 0)
    return frame[:12] + size.to_bytes(4, "little") + len(tag.items).to_bytes(4, "little") + frame[20:]


def new_tag(items: Sequence[bytes] = ()) -> ApeTag:
    """Return a new APEv2 tag."""
    head = MAGIC + (2000).to_bytes(4, "little") + bytes(8)
    header = head + (HAS_HEADER | IS_HEADER).to_bytes(4, "little") + bytes(8)
    footer = head + HAS_HEADER.to_bytes(4, "little") + bytes(8)
    return ApeTag(2000, header, footer, tuple(items))


def parse(data: bytes, *, header: bool, footer: bool) -> ApeTag:
    """Split a whole tag into its items.

    Raises
    ------
    TagReadError
        If the items do not add up.
    """
    front = data[:FRAME] if header else b""
    back = data[len(data) - FRAME :] if footer else b""
    if (front or MAGIC)[:8] != MAGIC:
        raise TagReadError("the APEv2 tag's header is damaged")
    start, stop = len(front), len(data) - len(back)
    frame = back or front
    count = int.from_bytes(frame[16:20], "little")
    check_count(count, "APEv2 items")
    items, at, view = [], start, memoryview(data)
    for _ in range(count):
        nul = data.find(b"\0", at + 8, stop)
        if nul < 0:
            raise TagReadError("the APEv2 tag is damaged")
        end = nul + 1 + int.from_bytes(data[at : at + 4], "little")
        if end > stop:
            raise TagReadError("the APEv2 tag is damaged")
        items.append(memory_budget.deduplicated(view[at:end]))
        at = end
    tail = memory_budget.deduplicated(view[at:stop])
    return ApeTag(int.from_bytes(frame[8:12], "little"), front, back, tuple(items), tail)


def items_of_v1(block: bytes) -> tuple[bytes, ...]:
    """Return the fields of an ID3v1 block as items, without its genre; none if its text is not Latin-1."""
    return tuple(_item(key, text) for key, text in fields_of_v1(block).items())


def _item(key: str, text: str) -> bytes:
    value = text.encode("utf-8")
    return len(value).to_bytes(4, "little") + bytes(4) + key.encode("ascii") + b"\0" + value


def key_of(item: bytes) -> str:
    """Return the key of an item."""
    return item[8 : item.find(b"\0", 8)].decode("latin-1")


def field_values(item: bytes, field: str) -> tuple[str, ...] | None:
    """Return the values of `field` in an item; None if it is another item."""
    nul = item.find(b"\0", 8)
    if key_of(item).casefold() != field.casefold():
        return None
    check_bytes(len(item))
    value = item[nul + 1 :]
    if (int.from_bytes(item[4:8], "little") >> 1) & 0b11 == 0b01:
        return ()
    return tuple(part for part in value.decode("utf-8", "replace").split("\0") if part)


def make_item(tag: ApeTag, field: str, genres: Sequence[str], former: bytes | None) -> bytes:
    """Return an item with `genres`, and with the spelling of the key and the flags of the item it replaces.

    Raises
    ------
    WriteRefusedError
        If an APEv1 tag, which has no encoding but ASCII, cannot hold the text.
    """
    key = former[8:].partition(b"\0")[0] if former else (b"Genre" if field == GENRE else field.encode("ascii"))
    # Bits 1 and 2 distinguish text from binary; the replacement is text.
    flags = int.from_bytes(former[4:8], "little") & ~0b110 if former else 0
    if tag.version >= 2000:
        value = "\0".join(genres).encode("utf-8")
    else:
        text = JOIN.join(genres)
        if not text.isascii():
            raise WriteRefusedError(f"the APEv1 tag cannot hold {text!r}")
        value = text.encode("ascii")
    return len(value).to_bytes(4, "little") + flags.to_bytes(4, "little") + key + b"\0" + value
