"""Limit the memory for big tags: one file with a big tag at a time, and one copy of each big part.

A tag may hold a picture of many megabytes, and is read several times while a change is planned and verified. Files with
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


class _ThreadState(threading.local):
    """The budget of one thread."""

    depth = 0
    has_turn = False
    parts: dict[bytes, bytes] | None = None


_turn = threading.Lock()
_thread = _ThreadState()


@contextmanager
def one_file() -> Iterator[None]:
    """Count the memory of one file within a `with` block; nested blocks count as one."""
    _thread.depth += 1
    _thread.parts = {} if _thread.parts is None else _thread.parts
    try:
        yield
    finally:
        _thread.depth -= 1
        if not _thread.depth:
            _thread.parts = None
            if _thread.has_turn:
                _thread.has_turn = False
                _turn.release()


def reserve(length: int, what: str) -> None:
    """Reserve memory for `length` bytes of `what`; wait for other files with big tags to finish.

    Raises
    ------
    TagReadError
        If that is more than `MAX_TAG`.
    """
    if length > MAX_TAG:
        raise TagReadError(f"the {what} is too large ({length >> 20} MiB)")
    if length > BIG and _thread.depth and not _thread.has_turn:
        _turn.acquire()
        _thread.has_turn = True
        _return_freed_blocks()


@functools.cache
def _return_freed_blocks() -> None:
    """Make glibc return big blocks to the system when they are freed; otherwise it keeps them."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        mmap_threshold = -3
        libc.mallopt(mmap_threshold, BIG)


def deduplicated(part: bytes | memoryview) -> bytes:
    """Return a part of a tag as bytes; a big part that was returned before is not copied again."""
    if len(part) < BIG // 4 or _thread.parts is None:
        return bytes(part)
    # Looked up before it is copied: a view of bytes has their hash.
    kept = _thread.parts.get(part)  # type: ignore[arg-type]
    if kept is None:
        kept = bytes(part)
        _thread.parts[kept] = kept
    return kept
