"""What several commands take: a run's number, a place in the library, and what is remembered of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from genrify_tagger.errors import GenrifyError

if TYPE_CHECKING:
    from genrify_tagger.cli.context import CliContext
    from genrify_tagger.store import Store

RUN = click.IntRange(1, 2**31 - 1)


@contextmanager
def remembered(state: CliContext) -> Iterator[Store]:
    """Open what the program remembers, for a command that only reads; see `open_memory`."""
    from genrify_tagger.pipeline import open_known_store

    loaded = state.load()
    with open_known_store(loaded.settings.database.url, named=loaded.is_given("database.url")) as store:
        yield store


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
