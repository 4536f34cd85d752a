"""The pages of an Ogg file: read them, build them, and follow packets across them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.patched_file import PatchedFile

CONTINUED, FIRST, LAST = 1, 2, 4
NO_GRANULE = b"\xff" * 8
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True, slots=True)
class OggPage:
    """A page's header and offset."""

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


def read_page(view: PatchedFile, at: int) -> OggPage:
    """Read the header of the page at `at`.

    Raises
    ------
    TagReadError
        If there is no whole page.
    """
    head = view.at(at, 27 + 255)
    if len(head) < 27 or head[:4] != b"OggS" or head[4] != 0:
        raise TagReadError("the Ogg file is damaged: no page where one should begin")
    page = OggPage(
        at, head[5], head[6:14], head[14:18], int.from_bytes(head[18:22], "little"), head[27 : 27 + head[26]]
    )
    if len(page.lacing) < head[26] or page.end > view.size:
        raise TagReadError("the Ogg file is truncated in its header")
    return page


def make_page(flags: int, granule: bytes, serial: bytes, number: int, lacing: bytes, body: bytes) -> bytes:
    """Return the bytes of a page."""
    front = b"OggS\0" + bytes((flags,)) + granule + serial + number.to_bytes(4, "little")
    back = bytes((len(lacing),)) + lacing + body
    return front + checksum(front + bytes(4) + back).to_bytes(4, "little") + back


def lacing_of(length: int) -> bytes:
    """Return the lacing values of a packet: the lengths of its segments."""
    return b"\xff" * (length // 255) + bytes((length % 255,))


def segment_counts(lacing: bytes, former: Sequence[int], first: int) -> list[int]:
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


def later_pages(view: PatchedFile, last: OggPage) -> Iterator[OggPage]:
    """Yield the pages of the same stream after `last`.

    Raises
    ------
    WriteRefusedError
        If there is something between the pages, so that they cannot all be found.
    """
    at = last.end
    while at < view.size and not last.flags & LAST:
        try:
            page = read_page(view, at)
        except TagReadError as error:
            raise WriteRefusedError(
                "the Ogg file is damaged after its header, so it cannot be changed safely"
            ) from error
        at = page.end
        if page.serial == last.serial:
            if page.flags & FIRST:
                return
            yield page
            last = page


def header_packets(view: PatchedFile, first: OggPage) -> tuple[list[OggPage], list[bytes]]:
    """Return the pages after the stream's first one, up to one that ends with a packet, and their packets."""
    pages: list[OggPage] = []
    packets: list[bytes] = []
    open_packet = io.BytesIO()
    at, total = first.end, 0
    while not pages or open_packet.tell() or pages[-1].lacing[-1] == 255:
        page = read_page(view, at)
        at = page.end
        if page.serial != first.serial:
            continue
        _check_header_page(page, is_first=not pages)
        total += page.end - page.start
        memory_budget.reserve(total, "Ogg file's comment header")
        pages.append(page)
        *whole, rest = _split_body(view.at(page.body, page.end - page.body), page.lacing)
        for end in whole:
            open_packet.write(end)
            packets.append(open_packet.getvalue())
            open_packet = io.BytesIO()
        open_packet.write(rest)
    return pages, packets


def _check_header_page(page: OggPage, *, is_first: bool) -> None:
    if page.flags & FIRST or (is_first and page.flags & CONTINUED) or not page.lacing:
        raise TagReadError("the Ogg file's header is damaged")
    if page.granule not in (NO_GRANULE, bytes(8)):
        raise TagReadError(
            "the Ogg file's header pages state a position in the audio, so it is damaged or has audio there"
        )


def _split_body(body: bytes, lacing: bytes) -> list[bytes]:
    """Split a page's body at the ends of packets; the last part belongs to a packet that continues on the next page."""
    found, start, end = [], 0, 0
    for value in lacing:
        end += value
        if value < 255:
            found.append(body[start:end])
            start = end
    return [*found, body[start:end]]
