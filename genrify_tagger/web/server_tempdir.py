"""The temporary folder of a server: deleted when it ends or, after a crash, when the next one starts."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from genrify_tagger import open_files
from genrify_tagger.errors import ConfigError, GenrifyError
from genrify_tagger.user_folders import user_folder

_LOCK = "in-use"
_PREFIX = "genrify-page-"  # unlike anything of other programs: without a home folder it is in the system's folder


@contextmanager
def open_server_tempdir(parent: str | None = None) -> Iterator[str]:
    """Make a private folder for the duration of the `with` block; delete those of crashed servers.

    Parameters
    ----------
    parent : str or None
        Parent folder; by default in the platform's cache folder, or else the system's temporary folder.

    Raises
    ------
    GenrifyError
        If it cannot be created.
    """
    place = parent or _cache_folder() or tempfile.gettempdir()
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        _sweep(place)
        folder = tempfile.mkdtemp(prefix=_PREFIX, dir=place)
    except OSError as error:
        raise GenrifyError(f"cannot create a temporary folder: {error.strerror}", path=place) from error
    lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        open_files.try_lock(lock)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


def _cache_folder() -> str | None:
    """Return a folder in the platform's cache folder; None if there is no home folder, or none to write to."""
    try:
        folder = os.path.join(user_folder("cache"), "page")
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except (ConfigError, OSError):
        return None
    return folder if os.access(folder, os.W_OK) else None


def _sweep(place: str) -> None:
    for entry in os.scandir(place):
        if entry.is_dir(follow_symlinks=False) and entry.name.startswith(_PREFIX) and not _is_in_use(entry.path):
            shutil.rmtree(entry.path, ignore_errors=True)


def _is_in_use(folder: str) -> bool:
    try:
        lock = os.open(os.path.join(folder, _LOCK), os.O_RDWR)
    except OSError:
        return False
    try:
        return not open_files.try_lock(lock)
    finally:
        os.close(lock)
