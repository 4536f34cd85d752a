"""A progress line on stderr during analysis; nothing if stderr is not a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

FEW = 3


class ProgressLine:
    """A progress bar for a number of items."""

    def __init__(self, items: int) -> None:
        self._bar: Progress | None = None
        if items > FEW and sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=items)

    def __enter__(self) -> ProgressLine:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count one item as done."""
        if self._bar is not None:
            self._bar.advance(self._task)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the line while something is printed; beets prints to stdout directly."""
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
