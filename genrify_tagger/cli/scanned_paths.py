"""Paths that a command takes as parts of the library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrify_tagger.errors import GenrifyError

if TYPE_CHECKING:
    from genrify_tagger.store import Store


def scanned_paths(store: Store, paths: Sequence[str]) -> list[str]:
    """Return files and folders as absolute paths.

    Raises
    ------
    GenrifyError
        If no file there was scanned, as after a typing error.
    """
    from genrify_tagger.files import real_path

    found = [os.path.abspath(path) for path in paths]
    for path in found:
        if next(store.files_under(real_path(path)), None) is None:
            raise GenrifyError("no scanned file is there", path=path, hint="scan it first, or correct the path")
    return found
