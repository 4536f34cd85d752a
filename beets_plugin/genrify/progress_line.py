"""A progress line on stderr while songs are listened to; nothing at all where nobody watches."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

FEW = 3


class Line:
    """The line; lines of text go above it."""

    def __init__(self, songs: int) -> None:
        self._bar: Progress | None = None
        if songs > FEW and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=songs)

    def __enter__(self) -> Line:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count a song."""
        if self._bar is not None:
            self._bar.advance(self._task)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Take the line away while something is printed: beets prints past what could be redirected."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()


def _bar() -> Progress:
    from rich import progress
    from rich.console import Console

    return progress.Progress(
        progress.SpinnerColumn(),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        redirect_stdout=False,
        redirect_stderr=False,
        transient=True,
    )
