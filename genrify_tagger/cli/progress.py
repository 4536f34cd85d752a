"""The progress line of a scan: files, speed, time left, counts; on stderr, and only on a terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence

from rich import progress as bars

from genrify_tagger.cli.context import CliContext
from genrify_tagger.cli.report import STYLES
from genrify_tagger.config import LibrarySettings
from genrify_tagger.pipeline import Result, Summary
from genrify_tagger.pipeline.scan_folders import discovered


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
        self._bar = bars.Progress(
            bars.SpinnerColumn(),
            bars.BarColumn(bar_width=None),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[pace]}"),
            bars.TimeRemainingColumn(compact=True),
            bars.TextColumn("{task.fields[counts]}"),
            console=state.console,
            disable=not state.shows_progress or (raw_output and sys.stdout.isatty()),
            # On a terminal, results are printed above the progress line; a pipe must get them unchanged.
            redirect_stdout=sys.stdout.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, counts="", pace="")
        self._ended = threading.Event()

    def __enter__(self) -> Progress:
        self._bar.start()
        if not self._bar.disable:
            threading.Thread(target=self._count, name="genrify-count", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._bar.stop()

    def advance(self, result: Result) -> None:
        """Count a finished file and refresh the line."""
        if self._bar.disable:
            return
        self._counts.add(result)
        counts = "  ".join(f"[{STYLES[s]}]{n} {s}[/]" for s, n in sorted(self._counts.items()))
        speed = self._bar.tasks[0].speed
        pace = f"{speed:.1f} tracks/s" if speed else ""
        self._bar.update(self._task, advance=1, counts=counts, pace=pace)

    def _count(self) -> None:
        total = 0
        for _ in discovered(self._library, self._paths):
            total += 1
            if self._ended.is_set():
                return
        self._bar.update(self._task, total=total)
