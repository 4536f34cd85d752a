"""Keep big tags from adding up: one file with a big tag at a time, and each big part of it only once in memory.

A tag may hold a picture of many megabytes, and is read several times while a change is planned and proven. Files with
small tags never wait.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from genrify_tagger.errors import TagReadError

BIG = 1 << 20
MAX_TAG = 20 << 20  # all tags of a file together


class _Hand(threading.local):
    """What one thread is at."""

    depth = 0
    has_turn = False
    parts: dict[bytes, bytes] | None = None


_turn = threading.Lock()
_hand = _Hand()


@contextmanager
def in_hand() -> Iterator[None]:
    """Have one file in hand for the length of a `with` block; blocks within blocks are one."""
    _hand.depth += 1
    _hand.parts = {} if _hand.parts is None else _hand.parts
    try:
        yield
    finally:
        _hand.depth -= 1
        if not _hand.depth:
            _hand.parts = None
            if _hand.has_turn:
                _hand.has_turn = False
                _turn.release()


def announce(length: int, what: str) -> None:
    """Say that so many bytes of `what` will be held in memory; wait for a turn if they are many.

    Raises
    ------
    TagReadError
        If that is more than `MAX_TAG`.
    """
    if length > MAX_TAG:
        raise TagReadError(f"the {what} is too large ({length >> 20} MiB)")
    if length > BIG and _hand.depth and not _hand.has_turn:
        _turn.acquire()
        _hand.has_turn = True
        _give_back_at_once()


@functools.cache
def _give_back_at_once() -> None:
    """Have big blocks of memory go back to the system when they are freed: glibc keeps them once it has seen some."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        mmap_threshold = -3
        libc.mallopt(mmap_threshold, BIG)


def once(part: bytes | memoryview) -> bytes:
    """Return a part of a tag as bytes: if it is big, those in which the same part was kept before."""
    if len(part) < BIG // 4 or _hand.parts is None:
        return bytes(part)
    # Looked up before it is copied: a view of bytes has their hash.
    kept = _hand.parts.get(part)  # type: ignore[arg-type]
    if kept is None:
        kept = bytes(part)
        _hand.parts[kept] = kept
    return kept
