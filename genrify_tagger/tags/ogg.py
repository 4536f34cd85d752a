"""Ogg (Vorbis, Opus, Speex, FLAC): replace the comment packet, page by page, without touching the audio pages.

Only the pages with the comment packet are rebuilt; if their number changes, the later pages of the same stream are
renumbered. Further links of a chained file, and other multiplexed streams, keep every byte.

References
----------
RFC 3533: The Ogg Encapsulation Format Version 0. RFC 7845: Ogg Encapsulation for the Opus Audio Codec.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from genrify_tagger.errors import NotTaggableError, TagReadError, WriteRefusedError
from genrify_tagger.tags import vorbis
from genrify_tagger.tags.model import Edit, Piece, insert_at
from genrify_tagger.tags.ogg_pages import (
    CONTINUED,
    FIRST,
    LAST,
    NO_GRANULE,
    OggPage,
    checksum,
    header_packets,
    lacing_of,
    later_pages,
    make_page,
    read_page,
    segment_counts,
)
from genrify_tagger.tags.patched_file import PatchedFile

_MAX_PAGES = 100_000  # a day of Opus
# First bytes of a stream -> first bytes of its comment packet.
_CODECS = {
    b"\x01vorbis": b"\x03vorbis",
    b"OpusHead": b"OpusTags",
    b"Speex   ": b"",
    b"\x7fFLAC": b"",
}


@dataclass(frozen=True)
class Ogg:
    """The genre field of an Ogg file.

    Attributes
    ----------
    pages : tuple of OggPage
        The pages from the one where the comment packet begins to the first one that ends with a packet's end.
    length : int
        Of the comment packet.
    behind : tuple of bytes
        The packets after it on these pages.
    prefix : bytes
        The bytes of the comment packet before the Vorbis comment.
    is_flac : bool
        The prefix is a FLAC block header, which holds the comment's length.
    """

    container: str
    view: PatchedFile
    field: str
    pages: tuple[OggPage, ...]
    length: int
    behind: tuple[bytes, ...]
    prefix: bytes
    is_flac: bool
    comment: vorbis.Comment

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The field's comments."""
        return vorbis.pieces(self.comment, self.field)

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in the comments."""
        return (vorbis.values(self.pieces),) if self.pieces else ()

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return one comment for each genre."""
        return vorbis.compose(self.comment, self.field, genres)

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: the comment's pages, and later page numbers if there are more or fewer pages now."""
        if tuple(pieces) == self.pieces:
            return []
        packets = [self._packet(pieces), *([packet] for packet in self.behind)]
        made = self._lay(packets)
        edits = [Edit(page.start, page.end, new) for page, new in zip(self.pages, made, strict=False)]
        extra = made[len(self.pages) :]
        if extra:
            edits[-1] = Edit(edits[-1].start, edits[-1].end, edits[-1].new + b"".join(extra))
        edits += [Edit(page.start, page.end, b"") for page in self.pages[len(made) :]]
        return [*edits, *self._renumber(len(made) - len(self.pages))]

    def _packet(self, pieces: Sequence[Piece]) -> list[bytes]:
        """Return the parts of the comment packet."""
        comment = self.comment.with_comments(insert_at(vorbis.others(self.comment, self.field), pieces))
        # The tail is a framing bit (Vorbis only), then zeros that taggers leave as padding, or else kept as it is.
        fixed = 1 if self.prefix == b"\x03vorbis" else 0
        frame, padding = comment.tail[:fixed], comment.tail[fixed:]
        if not padding.strip(b"\0"):
            parts = vorbis.Comment(comment.vendor, comment.comments, frame).parts()
            bare = len(self.prefix) + sum(map(len, parts))
            room = self.length - bare
            keep = room if padding and room >= 0 else len(padding)
            comment = vorbis.Comment(comment.vendor, comment.comments, frame + bytes(keep))
        if self.is_flac:
            size = sum(map(len, comment.parts()))
            return [self.prefix[:1], size.to_bytes(3, "big"), *comment.parts()]
        return [self.prefix, *comment.parts()]

    def _lay(self, packets: Sequence[Sequence[bytes]]) -> list[bytes]:
        """Distribute packets over pages: as before except for one page, or else in full pages."""
        lacings = [lacing_of(sum(map(len, parts))) for parts in packets]
        lacing = b"".join(lacings)
        counts = segment_counts(lacing, [len(page.lacing) for page in self.pages], len(lacings[0]))
        body = _Cutter(part for parts in packets for part in parts)
        made, segment = [], 0
        for index, count in enumerate(counts):
            part = lacing[segment : segment + count]
            ends = any(value < 255 for value in part)
            flags = CONTINUED if segment and lacing[segment - 1] == 255 else 0
            if index == len(counts) - 1:
                flags |= self.pages[-1].flags & LAST
            granule = bytes(8) if ends else NO_GRANULE
            number = self.pages[0].number + index
            made.append(make_page(flags, granule, self.pages[0].serial, number, part, body.take(sum(part))))
            segment += count
        return made

    def _renumber(self, shift: int) -> list[Edit]:
        if not shift:
            return []
        edits: list[Edit] = []
        for page in later_pages(self.view, self.pages[-1]):
            if len(edits) >= _MAX_PAGES:
                raise WriteRefusedError(f"more than {_MAX_PAGES} pages of the Ogg file would have to be renumbered")
            data = self.view.at(page.start, page.end - page.start)
            number = (page.number + shift).to_bytes(4, "little", signed=False)
            fresh = data[:18] + number + bytes(4) + data[26:]
            edits.append(Edit(page.start + 18, page.start + 26, number + checksum(fresh).to_bytes(4, "little")))
        return edits

    def others(self) -> list[bytes]:
        """Return the vendor, every other comment, and the other packets on the comment's pages."""
        return [self.comment.vendor, *vorbis.others(self.comment, self.field), *self.behind]


class _Cutter:
    """A sequence of byte strings, consumed piece by piece without joining them."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = iter(parts)
        self._rest = memoryview(b"")

    def take(self, length: int) -> bytes:
        taken = []
        while length:
            if not self._rest:
                self._rest = memoryview(next(self._parts))
            taken.append(self._rest[:length])
            self._rest = self._rest[length:]
            length -= len(taken[-1])
        return b"".join(taken)


def open_ogg(view: PatchedFile, field: str, start: int = 0) -> Ogg:
    """Read the genre of the first audio stream of an Ogg file that begins at `start` (after ID3 tags, if any).

    Raises
    ------
    NotTaggableError
        If there is no stream of a codec with comments.
    TagReadError
        If the pages of the header are damaged.
    """
    first, mark = _audio_stream(view, start)
    pages, packets = header_packets(view, first)
    is_flac = _first_bytes(view, first, 5) == b"\x7fFLAC"
    prefix = packets[0][:4] if is_flac else mark
    if not packets[0].startswith(prefix) or (is_flac and (len(prefix) < 4 or prefix[0] & 0x7F != 4)):
        raise TagReadError("the Ogg file's comment header is damaged")
    comment = vorbis.parse(packets[0], len(prefix))
    return Ogg("ogg", view, field, tuple(pages), len(packets[0]), tuple(packets[1:]), prefix, is_flac, comment)


def _first_bytes(view: PatchedFile, page: OggPage, length: int) -> bytes:
    return view.at(page.body, min(length, page.end - page.body))


def _audio_stream(view: PatchedFile, at: int) -> tuple[OggPage, bytes]:
    while at < view.size:
        page = read_page(view, at)
        if not page.flags & FIRST:
            break
        for magic, mark in _CODECS.items():
            if _first_bytes(view, page, len(magic)) == magic:
                return page, mark
        at = page.end
    raise NotTaggableError("the Ogg file holds no Vorbis, Opus, Speex or FLAC audio")
