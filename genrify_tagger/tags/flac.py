"""FLAC: the genre is in the Vorbis comment block; ID3 tags before or after it are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import vorbis
from genrify_tagger.tags.model import Edit, Piece, insert_at
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.tagged_stream import front_tags

_INFO, _PADDING, _COMMENT = 0, 1, 4
_MAX_BLOCK = (1 << 24) - 1
_MAX_BLOCKS = 100_000


@dataclass(frozen=True, slots=True)
class MetadataBlock:
    """A metadata block; `start` is the offset of its header of four bytes."""

    kind: int
    start: int
    size: int
    last: bool

    @property
    def end(self) -> int:
        """Where the next block begins."""
        return self.start + 4 + self.size


def _header(kind: int, size: int, *, last: bool) -> bytes:
    if size > _MAX_BLOCK:
        raise WriteRefusedError("a metadata block would become larger than FLAC allows")
    return bytes((kind | (0x80 if last else 0),)) + size.to_bytes(3, "big")


def _comment_block(comment: vorbis.Comment, *, last: bool) -> bytes:
    parts = list(comment.parts())
    return b"".join([_header(_COMMENT, sum(map(len, parts)), last=last), *parts])


@dataclass(frozen=True)
class Flac:
    """The genre field of a FLAC file."""

    container: str
    view: PatchedFile
    field: str
    blocks: tuple[MetadataBlock, ...]
    block: MetadataBlock | None
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
        """Return the edits: the comment block, and the padding that makes up for its growth."""
        if tuple(pieces) == self.pieces:
            return []
        comment = self.comment.with_comments(insert_at(vorbis.others(self.comment, self.field), pieces))
        if self.block is None:
            return self._insert(comment)
        block = _comment_block(comment, last=self.block.last)
        grown = len(block) - (self.block.end - self.block.start)
        return [Edit(self.block.start, self.block.end, block), *self._resize_padding(-grown)]

    def _insert(self, comment: vorbis.Comment) -> list[Edit]:
        # STREAMINFO must stay first.
        info = self.blocks[0]
        block = _comment_block(comment, last=info.last)
        flag = [Edit(info.start, info.start + 1, bytes((info.kind,)))] if info.last else []
        return [*flag, Edit(info.end, info.end, block), *self._resize_padding(-len(block))]

    def _resize_padding(self, change: int) -> list[Edit]:
        """Resize the last padding block by what the comment grew or shrank, if possible."""
        padding = next((block for block in reversed(self.blocks) if block.kind == _PADDING), None)
        if padding is None or not change or not 0 <= padding.size + change <= _MAX_BLOCK:
            return []
        header = Edit(padding.start, padding.start + 4, _header(_PADDING, padding.size + change, last=padding.last))
        if change > 0:
            return [header, Edit(padding.end, padding.end, bytes(change))]
        # Only a block of nothing but zeros is used: one with a wrong length would reach into the audio.
        if self.view.at(padding.end + change, -change).strip(b"\0"):
            return []
        return [header, Edit(padding.end + change, padding.end, b"")]

    def others(self) -> list[bytes]:
        """Return the vendor, every other comment, and a hash of every other block."""
        kept = [block for block in self.blocks if block.kind not in (_PADDING, _COMMENT)]
        # Each may be a picture of 16 MiB.
        blocks = [bytes((block.kind,)) + self.view.digest(block.start + 1, block.size + 3) for block in kept]
        rest = vorbis.others(self.comment, self.field)
        vendor = [] if self.comment.vendor == vorbis.EMPTY.vendor else [self.comment.vendor]
        return [*vendor, *rest, *blocks]


def open_flac(view: PatchedFile, field: str, start: int) -> Flac:
    """Read the genre of a FLAC stream that begins at `start` (after ID3 tags, if there are any).

    Raises
    ------
    TagReadError
        If the metadata blocks extend past the end of the file.
    """
    blocks = _blocks(view, start + 4)
    block = next((block for block in blocks if block.kind == _COMMENT), None)
    if block is None:
        return Flac("flac", view, field, tuple(blocks), None, vorbis.EMPTY)
    comment = vorbis.parse(view.exactly(block.start + 4, block.size, "Vorbis comment"))
    return Flac("flac", view, field, tuple(blocks), block, comment)


def comments_only(view: PatchedFile) -> list[Edit]:
    """Return the edits after which a FLAC file has no metadata but STREAMINFO and comments."""
    front = front_tags(view)
    blocks = _blocks(view, (front[-1][1] if front else 0) + 4)
    kept = [block for block in blocks if block.kind in (_INFO, _COMMENT)]
    flags = {block.start: block.kind | (0x80 if block == kept[-1] else 0) for block in kept}
    return [
        Edit(block.start, block.start + 1, bytes((flags[block.start],)))
        if block.start in flags
        else Edit(block.start, block.end, b"")
        for block in blocks
    ]


def _blocks(view: PatchedFile, at: int) -> list[MetadataBlock]:
    blocks: list[MetadataBlock] = []
    while not blocks or not blocks[-1].last:
        header = view.at(at, 4)
        size = int.from_bytes(header[1:], "big")
        if len(header) < 4 or at + 4 + size > view.size or len(blocks) >= _MAX_BLOCKS:
            raise TagReadError("the FLAC file's metadata is truncated")
        blocks.append(MetadataBlock(header[0] & 0x7F, at, size, bool(header[0] & 0x80)))
        at = blocks[-1].end
    return blocks
