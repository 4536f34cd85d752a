"""Arguments that several commands share: a run's number, a path in the library, the store opened for reading."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import real_path

if TYPE_CHECKING:
    from genrify_tagger.cli.context import CliContext
    from genrify_tagger.store import Store

RUN = click.IntRange(1, 2**31 - 1)


@contextmanager
def readable_store(state: CliContext) -> Iterator[Store]:
    """Open the database for a command that only reads, without creating one.

    A database named by the user must exist: a mistyped name is not an empty library. The default one need not exist
    before the first scan.
    """
    from genrify_tagger.store import database_file, open_store

    loaded = state.load()
    url = loaded.settings.database.url
    file = database_file(url)
    if loaded.is_given("database.url") or file is None or os.path.exists(file):
        with open_store(url, create=False) as store:
            yield store
        return
    with tempfile.TemporaryDirectory() as folder, open_store(os.path.join(folder, "empty.db")) as store:
        yield store


def require_run(store: Store, run: int) -> None:
    """Check that a run exists.

    Raises
    ------
    GenrifyError
        If it does not.
    """
    if store.run(run) is None:
        raise GenrifyError(f"there is no run {run}", hint="'genrify-tag history --all' lists the runs")


def known_path(store: Store, path: str | None) -> str | None:
    """Resolve the file or folder that a command is limited to; None means the whole library.

    Raises
    ------
    GenrifyError
        If nothing is there and the store has nothing below it: a mistyped name must not look like an empty result.
    """
    if path is None:
        return None
    real = real_path(path)
    is_known = os.path.lexists(path) or any(store.paths_under(real)) or any(store.changes(under=real, limit=1))
    is_known = is_known or bool(store.paths_moved_from(real, limit=1))
    if not is_known:
        raise GenrifyError("no such file or folder, neither on disk nor in the database", path=path)
    return real
