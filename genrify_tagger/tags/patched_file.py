"""A file as it will be once edits are made to it, without making them."""

from __future__ import annotations

import base64
import hashlib
import io
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from genrify_tagger.errors import TagReadError, WriteRefusedError
from genrify_tagger.tags import memory_budget
from genrify_tagger.tags.model import Edit

BLOCK = 1 << 20


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class Readable(Protocol):
    """What a view needs of the file it is laid over."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset and return it."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes from there."""


class PatchedFile:
    """Random access to an open file with edits laid over it.

    Parameters
    ----------
    file : Readable
        The original, open for reading; a view itself will do.
    edits : sequence of Edit
        In rising order, not overlapping.
    """

    def __init__(self, file: Readable, edits: Sequence[Edit] = ()) -> None:
        self._file = file
        self._edits = tuple(edits)
        self._place = 0
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
        """Return a long stretch, put together in the place where it stays."""
        whole = io.BytesIO()
        for at in range(offset, end, BLOCK):
            whole.write(self.at(at, min(BLOCK, end - at)))
        return whole.getvalue()

    def inverse(self) -> dict[str, Any]:
        """Return what takes the edits back, to be kept as JSON and used through `inverted`."""
        kept, shift = [], 0
        for edit in self._edits:
            self._file.seek(edit.start)
            old = self._file.read(edit.end - edit.start)
            kept.append([edit.start + shift, len(edit.new), _digest(edit.new), base64.b64encode(old).decode("ascii")])
            shift += len(edit.new) - len(old)
        return {"size": self.size, "edits": kept}

    def inverted(self, image: Mapping[str, Any]) -> list[Edit] | None:
        """Return the edits that an `inverse` means, None if the file is not what it was made for."""
        if self.size != image["size"]:
            return None
        for start, length, digest, _ in image["edits"]:
            if _digest(self.at(start, length)) != digest:
                return None
        return [Edit(start, start + length, base64.b64decode(old)) for start, length, _, old in image["edits"]]

    def restores(self, base: PatchedFile) -> bool:
        """Return whether this view, laid over another one of `base`'s file, shows `base` again, reading only edits."""
        inner = self._file
        if self.size != base.size or not isinstance(inner, PatchedFile):
            return False
        for start, length, place, data in self._runs:
            if place is None:
                if not all(
                    data[i : i + BLOCK] == base.at(start + i, min(BLOCK, length - i)) for i in range(0, length, BLOCK)
                ):
                    return False
            elif not all(inner._is_at(place + i, start + i, n, base) for i, n in inner._steps(place, length)):
                return False
        return True

    def _steps(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Cut a stretch of the view at the borders of its runs: (offset in the stretch, length)."""
        for start, size, _, _ in self._runs[max(0, bisect_right(self._starts, offset) - 1) :]:
            if start >= offset + length:
                break
            low, high = max(offset, start), min(offset + length, start + size)
            if low < high:
                yield low - offset, high - low

    def _is_at(self, offset: int, wanted: int, length: int, base: PatchedFile) -> bool:
        """Return whether a stretch within one run is what `base` has at `wanted`."""
        start, _, place, _ = self._runs[bisect_right(self._starts, offset) - 1]
        if place is not None and place + offset - start == wanted:
            return True
        return all(
            self.at(offset + i, min(BLOCK, length - i)) == base.at(wanted + i, min(BLOCK, length - i))
            for i in range(0, length, BLOCK)
        )

    def exactly(self, offset: int, length: int, what: str) -> bytes:
        """Return `length` bytes of `what` (a tag, a header) that is to be held in memory.

        Raises
        ------
        TagReadError
            If the file ends before, or if all of this together is more than `bulk.MAX_TAG` bytes.
        """
        memory_budget.announce(length, what)
        self._held[offset, length] = length
        memory_budget.announce(sum(self._held.values()), "sum of its tags")
        data = self.at(offset, length)
        if len(data) != length:
            raise TagReadError(f"the {what} is cut off")
        return data

    def digest(self, offset: int, length: int) -> bytes:
        """Return a hash of a stretch of any length."""
        digest = hashlib.blake2b(digest_size=16)
        for at in range(offset, offset + length, BLOCK):
            digest.update(self.at(at, min(BLOCK, offset + length - at)))
        return digest.digest()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to an offset and return it, so that another view can be laid over this one."""
        self._place = offset + (self.size if whence == io.SEEK_END else 0)
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes from there."""
        return self.at(self._place, self.size if size < 0 else size)

    def blocks(self) -> Iterator[bytes]:
        """Yield the whole content, a block at a time."""
        for offset in range(0, self.size, BLOCK):
            yield self.at(offset, BLOCK)
