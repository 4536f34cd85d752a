"""Players are told at the end of a command that changed files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from genrify_tagger.config import NotifySettings
    from genrify_tagger.notify import ChangedFiles

no_notify_option = click.option(
    "--no-notify",
    "notify",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Do not tell the players in [notify] that files have changed.",
)


@contextmanager
def players_told(settings: NotifySettings, *, wanted: bool = True) -> Iterator[ChangedFiles]:
    """Tell the players at the end of the `with` block, however it ends, if it added changed files.

    A player that is away costs a warning and a few seconds.
    """
    from genrify_tagger.notify import ChangedFiles, tell_players, warn_of_failures

    changed = ChangedFiles()
    try:
        yield changed
    finally:
        if wanted and changed.number:
            warn_of_failures(tell_players(settings, changed))
