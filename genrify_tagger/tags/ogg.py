"""Ogg (Vorbis, Opus, Speex, FLAC): exchange the comment packet, page by page, without touching the audio's pages.

Only the pages that carry the comment packet are laid anew; if their number changes, the later pages of the same
stream are renumbered. Further links of a chained file, and other streams beside it, keep every byte.

References
----------
RFC 3533: The Ogg Encapsulation Format Version 0. RFC 7845: Ogg Encapsulation for the Opus Audio Codec.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genrify_tagger.errors import NotTaggableError, TagReadError, WriteRefusedError
from genrify_tagger.tags import vorbis
from genrify_tagger.tags.model import Edit, Piece, weave
from genrify_tagger.tags.view import MAX_TAG, View

_CONTINUED, _FIRST, _LAST = 1, 2, 4
_NO_GRANULE = b"\xff" * 8
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# First bytes of a stream -> first bytes of its comment packet.
_CODECS = {
    b"\x01vorbis": b"\x03vorbis",
    b"OpusHead": b"OpusTags",
    b"Speex   ": b"",
    b"\x7fFLAC": b"",
}


@dataclass(frozen=True, slots=True)
class Page:
    """A page's header and place."""

    start: int
    flags: int
    granule: bytes
    serial: bytes
    number: int
    lacing: bytes

    @property
    def body(self) -> int:
        """Where its packets' bytes begin."""
        return self.start + 27 + len(self.lacing)

    @property
    def end(self) -> int:
        """Where the next page begins."""
        return self.body + sum(self.lacing)


def checksum(page: bytes) -> int:
    """Return the CRC of a page whose CRC field is zero (zlib's polynomial, with bits in the other order)."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")


def read_page(view: View, at: int) -> Page:
    """Read the header of the page at `at`.

    Raises
    ------
    TagReadError
        If there is no whole page.
    """
    head = view.at(at, 27 + 255)
    if len(head) < 27 or head[:4] != b"OggS" or head[4] != 0:
        raise TagReadError("the Ogg file is damaged: no page where one should begin")
    page = Page(at, head[5], head[6:14], head[14:18], int.from_bytes(head[18:22], "little"), head[27 : 27 + head[26]])
    if len(page.lacing) < head[26] or page.end > view.size:
        raise TagReadError("the Ogg file is cut off in its header")
    return page


def _make_page(flags: int, granule: bytes, serial: bytes, number: int, lacing: bytes, body: bytes) -> bytes:
    front = b"OggS\0" + bytes((flags,)) + granule + serial + number.to_bytes(4, "little")
    back = bytes((len(lacing),)) + lacing + body
    return front + checksum(front + bytes(4) + back).to_bytes(4, "little") + back


@dataclass(frozen=True)
class Ogg:
    """The genre field of an Ogg file.

    Attributes
    ----------
    pages : tuple of Page
        The pages from the one where the comment packet begins to the first one that ends with a packet's end.
    packets : tuple of bytes
        The packets on these pages, the comment packet first.
    prefix : bytes
        What stands in the comment packet before the Vorbis comment.
    is_flac : bool
        The prefix is a FLAC block header, which holds the comment's length.
    """

    container: str
    view: View
    field: str
    pages: tuple[Page, ...]
    packets: tuple[bytes, ...]
    prefix: bytes
    is_flac: bool
    comment: vorbis.Comment

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The field's comments."""
        return vorbis.pieces(self.comment, self.field)

    @property
    def voices(self) -> tuple[tuple[str, ...], ...]:
        """What the comments say."""
        return (vorbis.values(self.pieces),) if self.pieces else ()

    @property
    def layout(self) -> dict[str, Any]:
        """How the packets lie on the pages, and how long the comment packet is."""
        pages = [[len(page.lacing), int(page.granule == _NO_GRANULE)] for page in self.pages]
        return {"pages": pages, "packet": len(self.packets[0])}

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return one comment for each genre."""
        return vorbis.compose(self.comment, self.field, genres)

    def splice(self, pieces: Sequence[Piece], hints: Mapping[str, Any]) -> list[Edit]:
        """Return the edits: the comment's pages, and later page numbers if there are more or fewer pages now."""
        if tuple(pieces) == self.pieces:
            return []
        packets = [self._packet(pieces, hints.get("packet")), *self.packets[1:]]
        made = self._lay(packets, hints.get("pages"))
        edits = [Edit(page.start, page.end, new) for page, new in zip(self.pages, made, strict=False)]
        extra = made[len(self.pages) :]
        if extra:
            edits[-1] = Edit(edits[-1].start, edits[-1].end, edits[-1].new + b"".join(extra))
        edits += [Edit(page.start, page.end, b"") for page in self.pages[len(made) :]]
        return [*edits, *self._renumber(len(made) - len(self.pages))]

    def _packet(self, pieces: Sequence[Piece], wanted: int | None) -> bytes:
        comment = self.comment.with_comments(weave(vorbis.others(self.comment, self.field), pieces))
        # The tail is a framing bit (Vorbis only), then zeros that taggers leave as padding, or else kept as it is.
        fixed = 1 if self.packets[0].startswith(b"\x03vorbis") else 0
        frame, padding = comment.tail[:fixed], comment.tail[fixed:]
        if not padding.strip(b"\0"):
            bare = len(self.prefix) + len(vorbis.Comment(comment.vendor, comment.comments, frame).build())
            room = (wanted if wanted is not None else len(self.packets[0])) - bare
            keep = room if wanted is not None or (padding and room >= 0) else len(padding)
            comment = vorbis.Comment(comment.vendor, comment.comments, frame + bytes(max(0, keep)))
        content = comment.build()
        if self.is_flac:
            return self.prefix[:1] + len(content).to_bytes(3, "big") + content
        return self.prefix + content

    def _lay(self, packets: Sequence[bytes], layout: Sequence[Sequence[int]] | None) -> list[bytes]:
        """Put packets on pages: as `layout` says if it fits, else as before but for one page, else full."""
        lacing = b"".join(_lacing(packet) for packet in packets)
        counts = _counts(lacing, [len(page.lacing) for page in self.pages], len(_lacing(packets[0])))
        nowhere: list[bool] | None = None
        if layout is not None and sum(count for count, _ in layout) == len(lacing):
            counts, nowhere = [count for count, _ in layout], [bool(none) for _, none in layout]
        body, made, at, segment = b"".join(packets), [], 0, 0
        for index, count in enumerate(counts):
            part = lacing[segment : segment + count]
            ends = any(value < 255 for value in part)
            flags = _CONTINUED if segment and lacing[segment - 1] == 255 else 0
            if index == len(counts) - 1:
                flags |= self.pages[-1].flags & _LAST
            unset = nowhere[index] if nowhere is not None else not ends
            granule = _NO_GRANULE if unset else bytes(8)
            number = self.pages[0].number + index
            size = sum(part)
            made.append(_make_page(flags, granule, self.pages[0].serial, number, part, body[at : at + size]))
            at, segment = at + size, segment + count
        return made

    def _renumber(self, shift: int) -> list[Edit]:
        if not shift:
            return []
        edits = []
        for page in _later_pages(self.view, self.pages[-1]):
            data = self.view.at(page.start, page.end - page.start)
            number = (page.number + shift).to_bytes(4, "little", signed=False)
            fresh = data[:18] + number + bytes(4) + data[26:]
            edits.append(Edit(page.start + 18, page.start + 26, number + checksum(fresh).to_bytes(4, "little")))
        return edits

    def others(self) -> list[bytes]:
        """Return the vendor, every other comment, and the other packets on the comment's pages."""
        return [self.comment.vendor, *vorbis.others(self.comment, self.field), *self.packets[1:]]


def _lacing(packet: bytes) -> bytes:
    return b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,))


def _counts(lacing: bytes, former: Sequence[int], first: int) -> list[int]:
    """Return how many segments go on each page, changing only the page where the first packet ends if it has room."""
    more, counts, before = len(lacing) - sum(former), list(former), 0
    for index, count in enumerate(counts):
        before += count
        if before + more >= first or index == len(counts) - 1:
            counts[index] += more
            break
    if all(0 < count <= 255 for count in counts):
        return counts
    full, rest = divmod(len(lacing), 255)
    return [255] * full + ([rest] if rest else [])


def _later_pages(view: View, last: Page) -> Iterator[Page]:
    """Yield the pages of the same stream behind `last`.

    Raises
    ------
    WriteRefusedError
        If there is something between the pages, so that they cannot all be found.
    """
    at = last.end
    while at < view.size and not last.flags & _LAST:
        try:
            page = read_page(view, at)
        except TagReadError as error:
            raise WriteRefusedError(
                "the Ogg file is damaged behind its header, so it cannot be changed safely"
            ) from error
        at = page.end
        if page.serial == last.serial:
            if page.flags & _FIRST:
                return
            yield page
            last = page


def open_ogg(view: View, field: str) -> Ogg:
    """Read the genre of the first audio stream of an Ogg file.

    Raises
    ------
    NotTaggableError
        If there is no stream of a codec with comments.
    TagReadError
        If the pages of the header are damaged.
    """
    first, mark = _audio_stream(view)
    pages, packets = _header_packets(view, first)
    is_flac = _first_bytes(view, first, 5) == b"\x7fFLAC"
    prefix = packets[0][:4] if is_flac else mark
    if not packets[0].startswith(prefix) or (is_flac and (len(prefix) < 4 or prefix[0] & 0x7F != 4)):
        raise TagReadError("the Ogg file's comment header is damaged")
    comment = vorbis.parse(packets[0][len(prefix) :])
    return Ogg("ogg", view, field, tuple(pages), tuple(packets), prefix, is_flac, comment)


def _first_bytes(view: View, page: Page, length: int) -> bytes:
    return view.at(page.body, min(length, page.end - page.body))


def _audio_stream(view: View) -> tuple[Page, bytes]:
    at = 0
    while at < view.size:
        page = read_page(view, at)
        if not page.flags & _FIRST:
            break
        for magic, mark in _CODECS.items():
            if _first_bytes(view, page, len(magic)) == magic:
                return page, mark
        at = page.end
    raise NotTaggableError("the Ogg file holds no Vorbis, Opus, Speex or FLAC audio")


def _header_packets(view: View, first: Page) -> tuple[list[Page], list[bytes]]:
    """Return the pages behind the stream's first one, up to where a page ends with a packet, and their packets."""
    pages: list[Page] = []
    packets, open_packet = [], b""
    at, total = first.end, 0
    while not pages or open_packet or pages[-1].lacing[-1:] in (b"", b"\xff"):
        page = read_page(view, at)
        at = page.end
        if page.serial != first.serial:
            continue
        if page.flags & _FIRST or (not pages and page.flags & _CONTINUED) or not page.lacing:
            raise TagReadError("the Ogg file's header is damaged")
        if page.granule not in (_NO_GRANULE, bytes(8)):
            raise TagReadError("the Ogg file has audio on the pages of its header")
        total += page.end - page.start
        if total > MAX_TAG:
            raise TagReadError("the Ogg file's comment header is too large")
        pages.append(page)
        offset = page.body
        for value in page.lacing:
            open_packet += view.at(offset, value) if value else b""
            offset += value
            if value < 255:
                packets.append(open_packet)
                open_packet = b""
    return pages, packets
