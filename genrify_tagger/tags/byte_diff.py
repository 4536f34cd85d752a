"""Shrink edits to the bytes that really differ, so that a picture that only moves is not held or journalled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from genrify_tagger.tags.model import Edit
from genrify_tagger.tags.patched_file import PatchedFile

_SMALL = 256  # shorter stretches are not searched for common parts
_NEAR = 16 << 10
_STEP = 64 << 10
_NEEDLE = 64
_ANCHORS = 100  # with more stretches than this, a tag is replaced as a whole


def minimised(base: PatchedFile, edits: Sequence[Edit]) -> tuple[Edit, ...]:
    """Return edits of `base` with the same effect as `edits` that leave out what stays or moves.

    Parameters
    ----------
    base : PatchedFile
        What the edits are made to.
    edits : sequence of Edit
        In any order, not overlapping.

    Returns
    -------
    tuple of Edit
        In rising order.
    """
    in_order = sorted(edits, key=lambda edit: (edit.start, edit.end))
    return tuple(itertools.chain.from_iterable(_minimised(base, edit) for edit in in_order))


def _minimised(base: PatchedFile, edit: Edit) -> Iterator[Edit]:
    here, there = edit.start, 0
    for i, j, length in [*_kept(base, edit), (edit.end, len(edit.new), 0)]:
        if i > here or j > there:
            yield Edit(here, i, edit.new[there:j])
        here, there = i + length, j + length


def _kept(old: PatchedFile, edit: Edit) -> list[tuple[int, int, int]]:
    """Return the stretches that stay, in rising order: offset in the file, offset in the edit's bytes, length."""
    kept: list[tuple[int, int, int]] = []
    new = edit.new
    stack = [(edit.start, edit.end, 0, len(new))]
    anchors = 0
    while stack:
        i, i_end, j, j_end = stack.pop()
        front = _same_forward(old, i, i_end, new, j, j_end)
        kept += [(i, j, front)] if front else []
        i, j = i + front, j + front
        back = _same_backward(old, i, i_end, new, j, j_end)
        kept += [(i_end - back, j_end - back, back)] if back else []
        i_end, j_end = i_end - back, j_end - back
        if min(i_end - i, j_end - j) < _SMALL or anchors > _ANCHORS:
            continue
        if (found := _anchor(old, i, i_end, new, j, j_end)) is not None:
            anchors += 1
            stack += [(found[0], i_end, found[1], j_end), (i, found[0], j, found[1])]
    return sorted(kept)


def _anchor(old: PatchedFile, i: int, i_end: int, new: bytes, j: int, j_end: int) -> tuple[int, int] | None:
    """Return an offset in each from which both have the same bytes, if one is found."""
    for eighth in (4, 2, 6, 1, 3, 5, 7):
        at = i + (i_end - i) * eighth // 8
        needle = old.at(at, _NEEDLE)
        expected = j + at - i
        # Nearby first: a picture may repeat itself.
        found = new.find(needle, max(j, expected - _NEAR), min(j_end, expected + _NEAR))
        found = new.find(needle, j, j_end) if found < 0 else found
        if found >= 0:
            return at, found
    return None


def _same_forward(old: PatchedFile, i: int, i_end: int, new: bytes, j: int, j_end: int) -> int:
    most, length = min(i_end - i, j_end - j), 0
    while length < most:
        step = min(_STEP, most - length)
        first, second = old.at(i + length, step), new[j + length : j + length + step]
        if first != second:
            return length + _alike(first, second)
        length += step
    return length


def _same_backward(old: PatchedFile, i: int, i_end: int, new: bytes, j: int, j_end: int) -> int:
    most, length = min(i_end - i, j_end - j), 0
    while length < most:
        step = min(_STEP, most - length)
        first, second = old.at(i_end - length - step, step), new[j_end - length - step : j_end - length]
        if first != second:
            return length + _alike(first[::-1], second[::-1])
        length += step
    return length


def _alike(first: bytes, second: bytes) -> int:
    differing = (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return next(differing, min(len(first), len(second)))
