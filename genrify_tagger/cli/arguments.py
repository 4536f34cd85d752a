"""Arguments that several commands take: a run's number, and a place in the library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from genrify_tagger.errors import GenrifyError

if TYPE_CHECKING:
    from genrify_tagger.store import Store

RUN = click.IntRange(1, 2**31 - 1)


def known_place(store: Store, path: str | None) -> str | None:
    """Return the real path of a file or folder that a command shall keep to; None for the whole library.

    Raises
    ------
    GenrifyError
        If nothing is there, nor ever was as far as the store remembers: a mistyped name is no empty answer.
    """
    if path is None:
        return None
    real = os.path.realpath(path)
    is_known = os.path.lexists(path) or any(store.paths_under(real)) or any(store.changes(under=real, limit=1))
    if not is_known:
        raise GenrifyError("no such file or folder, and none is remembered", path=path)
    return real
