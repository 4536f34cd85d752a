"""A view of a file with edits applied, without changing the file."""

from __future__ import annotations

import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import Edit

BLOCK = 1 << 20


class PatchedFile:
    """Random access to an open file with edits applied.

    Parameters
    ----------
    file : BinaryIO
        The original, open for reading.
    edits : sequence of Edit
        In rising order, not overlapping.
    """

    def __init__(self, file: BinaryIO, edits: Sequence[Edit] = ()) -> None:
        self._file = file
        self._held: dict[tuple[int, int], int] = {}
        # (offset in the view, length, offset in the file or None, bytes)
        self._runs: list[tuple[int, int, int | None, bytes]] = []
        here, place = 0, 0
        end = file.seek(0, io.SEEK_END)
        for edit in edits:
            if not place <= edit.start <= edit.end <= end:
                raise WriteRefusedError("the file's tags overlap")
            here = self._add(here, edit.start - place, place, b"")
            here = self._add(here, len(edit.new), None, edit.new)
            place = edit.end
        self.size = self._add(here, end - place, place, b"")
        self._starts = [run[0] for run in self._runs]

    def _add(self, here: int, length: int, place: int | None, data: bytes) -> int:
        if length:
            self._runs.append((here, length, place, data))
        return here + length

    def at(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset` (fewer at the end of the file)."""
        if offset < 0 or length <= 0:
            return b""
        if length > BLOCK:
            return self._at_length(offset, min(offset + length, self.size))
        parts: list[bytes] = []
        for start, size, place, data in self._runs[max(0, bisect_right(self._starts, offset) - 1) :]:
            if start >= offset + length:
                break
            low, high = max(offset, start), min(offset + length, start + size)
            if low >= high:
                continue
            if place is None:
                parts.append(data[low - start : high - start])
            else:
                self._file.seek(place + low - start)
                parts.append(self._file.read(high - low))
        return b"".join(parts)

    def _at_length(self, offset: int, end: int) -> bytes:
        """Return a long stretch, assembled in a buffer of its final size."""
        whole = io.BytesIO()
        for at in range(offset, end, BLOCK):
            whole.write(self.at(at, min(BLOCK, end - at)))
        return whole.getvalue()

    def exactly(self, offset: int, length: int, what: str) -> bytes:
        """Return exactly `length` bytes of `what` (a tag, a header), to be held in memory.

        Raises
        ------
        TagReadError
            If the file is shorter, or if all such bytes together exceed `memory_budget.MAX_TAG`.
        """
        memory_budget.reserve(length, what)
        self._held[offset, length] = length
        memory_budget.reserve(sum(self._held.values()), "sum of its tags")
        data = self.at(offset, length)
        if len(data) != length:
            raise TagReadError(f"the {what} is truncated")
        return data

    def digest(self, offset: int, length: int) -> bytes:
        """Return a hash of a stretch of any length."""
        digest = hashlib.blake2b(digest_size=16)
        for at in range(offset, offset + length, BLOCK):
            digest.update(self.at(at, min(BLOCK, offset + length - at)))
        return digest.digest()

    def blocks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the content from `start` to `end`, by default the whole, a block at a time."""
        end = self.size if end is None else end
        for offset in range(start, end, BLOCK):
            yield self.at(offset, min(BLOCK, end - offset))

    def stretches(self) -> Iterator[tuple[int, int, int | None]]:
        """Yield what the content consists of: offset, length, and the offset in the original, None for what is new."""
        for start, length, place, _ in self._runs:
            yield start, length, place
