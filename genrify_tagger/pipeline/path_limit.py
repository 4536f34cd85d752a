"""Refuse files with paths that the database cannot store, by name, before anything is done with them."""

from __future__ import annotations

import errno
import os

from genrify_tagger.library import Candidate, UnreadablePath
from genrify_tagger.store import Store


def storable(store: Store, item: Candidate | UnreadablePath) -> Candidate | UnreadablePath:
    """Return a file that was found, as unreadable if its path is too long for the database."""
    if isinstance(item, Candidate) and (why := _excess(store, item.target)):
        return UnreadablePath(item.path, why)
    return item


def refuse_long(store: Store, path: str) -> None:
    """Raise OSError, as for a file that cannot be accessed, if its real path is too long for the database."""
    if why := _excess(store, path):
        raise OSError(errno.ENAMETOOLONG, why, path)


def _excess(store: Store, path: str) -> str | None:
    length = len(os.fsencode(path)) if store.path_limit else 0
    if length <= store.path_limit:
        return None
    return f"its path has {length:,} bytes, and PostgreSQL can store {store.path_limit:,}"
