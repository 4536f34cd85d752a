"""The temporary folder of one server: gone when it ends, and after a crash when the next one starts."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from genrify_tagger.errors import GenrifyError

_LOCK = "in-use"


@contextmanager
def open_scratch(parent: str | None = None) -> Iterator[str]:
    """Make a private folder for as long as the `with` block lasts; folders of servers that died are removed.

    Parameters
    ----------
    parent : str or None
        Where to make it; by default in the platform's cache folder.

    Raises
    ------
    GenrifyError
        If no folder can be made.
    """
    place = parent or _cache_folder()
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        _sweep(place)
        folder = tempfile.mkdtemp(prefix="page-", dir=place)
    except OSError as error:
        raise GenrifyError(f"no temporary folder can be made: {error.strerror}", path=place) from error
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(lock)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _cache_folder() -> str:
    import platformdirs

    return os.path.join(platformdirs.user_cache_dir("genrify-tagger", appauthor=False), "page")


def _sweep(place: str) -> None:
    for entry in os.scandir(place):
        if entry.is_dir(follow_symlinks=False) and entry.name.startswith("page-") and not _is_in_use(entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_in_use(folder: str) -> bool:
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR)
    except OSError:
        return False
    try:
        return not _take(lock)
    finally:
        os.close(lock)


def _take(lock: int) -> bool:
    """Take a lock that ends with this process, however it ends; return whether that was possible."""
    if sys.platform == "win32":
        return False  # an open file cannot be removed there anyway
    import fcntl

    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
