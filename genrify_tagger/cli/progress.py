"""The progress line of a scan: files, speed, time left, counts; on stderr, and only on a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genrify_tagger.cli.context import CliContext
from genrify_tagger.cli.report import STYLES
from genrify_tagger.config import LibrarySettings
from genrify_tagger.pipeline import Result, Summary
from genrify_tagger.pipeline.scan_folders import discovered

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


class Progress:
    """The progress line of a running scan; does nothing if stderr is not a terminal.

    A second walk in a thread counts the files, so that the first song does not wait for the total.

    Parameters
    ----------
    state : CliContext
        Decides whether to show anything.
    paths : sequence of str
        Files and folders to scan.
    library : LibrarySettings
        Which of their files are included.
    raw_output : bool
        Whether stdout carries JSON Lines: on a terminal the progress line would mix with them.
    """

    def __init__(
        self, state: CliContext, paths: Sequence[str], library: LibrarySettings, *, raw_output: bool = False
    ) -> None:
        self._counts = Summary()
        self._paths = paths
        self._library = library
        is_shown = state.shows_progress and not (raw_output and sys.stdout.isatty())
        self._bar = _new_bar(state.console) if is_shown else None
        self._ended = threading.Event()

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            threading.Thread(target=self._count, args=[self._bar], name="genrify-count", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._bar is not None:
            self._bar.stop()

    def advance(self, result: Result) -> None:
        """Count a finished file and refresh the line."""
        if self._bar is None:
            return
        self._counts.add(result)
        counts = "  ".join(f"[{STYLES[s]}]{n} {s}[/]" for s, n in sorted(self._counts.items()))
        (task,) = self._bar.tasks
        pace = f"{task.speed:.1f} tracks/s" if task.speed else ""
        self._bar.update(task.id, advance=1, counts=counts, pace=pace)

    def _count(self, bar: Bar) -> None:
        total = 0
        for _ in discovered(self._library, self._paths):
            total += 1
            if self._ended.is_set():
                return
        bar.update(bar.tasks[0].id, total=total)


def _new_bar(console: Console) -> Bar:
    from rich import progress as bars

    bar = bars.Progress(
        bars.SpinnerColumn(),
        bars.BarColumn(bar_width=None),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[pace]}"),
        bars.TimeRemainingColumn(compact=True),
        bars.TextColumn("{task.fields[counts]}"),
        console=console,
        # On a terminal, results are printed above the progress line; a pipe must get them unchanged.
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )
    bar.add_task("", total=None, counts="", pace="")
    return bar
