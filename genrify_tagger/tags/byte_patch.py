"""A change of a file as bytes: what was replaced by what, to revert the change or to repeat it exactly."""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from genrify_tagger.errors import TagError, WriteRefusedError
from genrify_tagger.tags.model import Edit
from genrify_tagger.tags.patched_file import BLOCK, PatchedFile

_SIZES = struct.Struct("<QQ")  # of the file before and after
_RECORD = struct.Struct("<QII")  # offset before, bytes replaced, new bytes
_MAX_BYTES = 64 << 20  # the largest tag, replaced by another one


@dataclass(frozen=True, slots=True)
class BytePatch:
    """A change that can be applied in both directions.

    Attributes
    ----------
    size_before, size_after : int
        Of the whole file.
    records : tuple of (int, bytes, bytes)
        Offset in the file before the change, the bytes replaced, the bytes put in their place; in rising order.
    """

    size_before: int
    size_after: int
    records: tuple[tuple[int, bytes, bytes], ...]

    @classmethod
    def of(cls, base: PatchedFile, edits: Sequence[Edit]) -> BytePatch:
        """Return the patch that makes `edits` to `base`.

        Raises
        ------
        WriteRefusedError
            If it is too large for the journal.
        """
        grown = sum(len(edit.new) - (edit.end - edit.start) for edit in edits)
        if sum(len(edit.new) + edit.end - edit.start for edit in edits) > _MAX_BYTES:
            raise WriteRefusedError(f"the change is larger than the journal can hold ({_MAX_BYTES >> 20} MiB)")
        records = tuple((edit.start, base.at(edit.start, edit.end - edit.start), edit.new) for edit in edits)
        return cls(base.size, base.size + grown, records)

    def forward(self, view: PatchedFile) -> tuple[Edit, ...] | None:
        """Return the edits that repeat the change; None if the file is not as it was before the change."""
        return _edits(view, self.size_before, self.records)

    def backward(self, view: PatchedFile) -> tuple[Edit, ...] | None:
        """Return the edits that revert the change; None if the file is not as the change left it."""
        turned, shift = [], 0
        for start, old, new in self.records:
            turned.append((start + shift, new, old))
            shift += len(new) - len(old)
        return _edits(view, self.size_after, turned)

    def encode(self) -> str:
        """Return the patch as text, for JSON."""
        parts = [_SIZES.pack(self.size_before, self.size_after)]
        for start, old, new in self.records:
            parts += [_RECORD.pack(start, len(old), len(new)), old, new]
        return base64.b64encode(zlib.compress(b"".join(parts), 9)).decode("ascii")

    @classmethod
    def decode(cls, text: str) -> BytePatch:
        """Return the patch that `encode` turned into text.

        Raises
        ------
        TagError
            If the text is damaged.
        """
        try:
            data = zlib.decompress(base64.b64decode(text, validate=True))
            before, after = _SIZES.unpack_from(data)
            records, at = [], _SIZES.size
            while at < len(data):
                start, replaced, put = _RECORD.unpack_from(data, at)
                at += _RECORD.size
                records.append((start, data[at : at + replaced], data[at + replaced : at + replaced + put]))
                at += replaced + put
        except (ValueError, struct.error, zlib.error, binascii.Error) as error:
            raise TagError("the journalled genre is damaged") from error
        return cls(before, after, tuple(records))


def _edits(view: PatchedFile, size: int, records: Sequence[tuple[int, bytes, bytes]]) -> tuple[Edit, ...] | None:
    if view.size != size or not all(_holds(view, start, old) for start, old, _ in records):
        return None
    return tuple(Edit(start, start + len(old), new) for start, old, new in records)


def _holds(view: PatchedFile, start: int, wanted: bytes) -> bool:
    pieces = range(0, len(wanted), BLOCK)
    return all(view.at(start + at, min(BLOCK, len(wanted) - at)) == wanted[at : at + BLOCK] for at in pieces)
