"""DSF: an ID3v2 tag at the end of the file, and a pointer to it in the header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genrify_tagger.errors import NotTaggableError, TagReadError
from genrify_tagger.tags.located_tag import LocatedTag
from genrify_tagger.tags.model import Edit, Piece
from genrify_tagger.tags.patched_file import PatchedFile
from genrify_tagger.tags.riff_iff import chunk_tag
from genrify_tagger.tags.tagged_stream import check_trailing_tags


@dataclass(frozen=True)
class Dsf:
    """The genre field of a DSF file."""

    container: str
    view: PatchedFile
    field: str
    located: LocatedTag

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The genre frames."""
        return tuple(self.located.pieces(self.field))

    @property
    def values_by_place(self) -> tuple[tuple[str, ...], ...]:
        """The genres in the tag."""
        return tuple(self.located.values(self.field))

    def compose(self, genres: Sequence[str]) -> tuple[Piece, ...]:
        """Return the genre frame."""
        if genres and not self.pieces and not self.located.content(self.field).is_shown:
            check_trailing_tags(self.view, genres)
        return tuple(self.located.compose(self.field, genres))

    def splice(self, pieces: Sequence[Piece]) -> list[Edit]:
        """Return the edits: the tag, the file's length and the pointer to the tag."""
        parts = self.located.rebuilt(pieces, self.field)
        if parts is None:
            return []
        content = b"".join(parts)
        total = self.view.size + len(content) - (self.located.end - self.located.start)
        head = total.to_bytes(8, "little") + self.located.start.to_bytes(8, "little")
        return [Edit(12, 28, head), *self._data_size(), Edit(self.located.start, self.located.end, content)]

    def _data_size(self) -> list[Edit]:
        """Return the edit that sets the size of truncated audio, so that it does not run on into the tag."""
        data = 28 + int.from_bytes(self.view.at(32, 8), "little")
        size = self.view.at(data + 4, 8)
        present = self.located.start - data
        if self.view.at(data, 4) != b"data" or int.from_bytes(size, "little") <= present:
            return []
        return [Edit(data + 4, data + 12, present.to_bytes(8, "little"))]

    def others(self) -> list[bytes]:
        """Return every other frame."""
        return self.located.others(self.field)


def open_dsf(view: PatchedFile, field: str) -> Dsf:
    """Read the genre of a DSF file."""
    if int.from_bytes(view.at(4, 8), "little") != 28:
        raise NotTaggableError("this kind of DSD file is not supported")
    pointer = int.from_bytes(view.at(20, 8), "little")
    if 0 < pointer < 28:
        raise TagReadError("the DSF file is damaged")
    start = min(pointer or view.size, view.size)  # the tag of a truncated file is gone
    return Dsf("dsf", view, field, chunk_tag(view, start, view.size - start))
