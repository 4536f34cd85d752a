"""The command line: one module per command, imported only when that command runs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

import click

from genrify_tagger import __version__
from genrify_tagger.cli.context import CliContext, global_options
from genrify_tagger.cli.error_exit import PIPE_CLOSED, end_with, threads_reported
from genrify_tagger.cli.lazy_group import LazyGroup

PROGRAM = "genrify-tag"

#: Commands by heading, in the order of the help text; each with the first line of its own help.
COMMANDS = {
    "Tag songs": {
        "scan": "Analyse songs and write their genres.",
        "watch": "Tag new songs as they arrive, until stopped.",
        "set": "Write genres that you choose.",
        "undo": "Restore the genres that a run replaced.",
    },
    "Explore": {
        "show": "Show everything known about a song.",
        "status": "Summarise the library, list files by status, show the service.",
        "learn": "Learn your own genres from songs that have one.",
        "audit": "List songs whose genre contradicts the rest of the library.",
        "vocabulary": "List, use, delete or share learned vocabularies.",
        "genres": "List the genres in your files, and unify their spelling.",
        "history": "List what was changed and when.",
        "similar": "List the songs that sound most like one.",
        "playlist": "Make a playlist by genre or similarity.",
        "serve": "Serve the web page on this machine.",
        "export": "Print the library as CSV or JSON Lines.",
    },
    "Workbench (needs the extra 'train')": {
        "evaluate": "Evaluate a model on labelled music.",
        "train": "Train a model on your own music.",
        "features": "Compute a table of audio features.",
        "plot": "Plot a song.",
    },
    "Set up": {
        "config": "Show, locate or create the settings file.",
        "notify": "Tell your players to look for changes, and show their answers.",
        "service": "Install the background service.",
        "db": "Check, back up, copy or prune the database.",
        "completion": "Print a shell completion script.",
    },
}


@click.command(
    cls=LazyGroup,
    package=__name__,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@global_options(hidden=False)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """Analyse music offline and write its genre into the files.

    Files that already have a genre are left alone unless you ask. Every change is journalled and can be undone.

    \b
    Examples:
      genrify-tag scan ~/Music --dry-run    show what would happen
      genrify-tag scan ~/Music              tag songs that have no genre
      genrify-tag undo                      undo the last run
    """  # noqa: D301 - the backspace tells click not to rewrap the lines that follow


def main(args: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status.

    0 success, 1 failures, 2 wrong usage or settings, 130 interrupted, 141 the reader of a pipe has gone.
    This is the only place that turns errors into messages. A command returns its status (None means 0) or raises.

    Parameters
    ----------
    args : sequence of str, optional
        The command line without the program's name; by default that of the process.
    """
    _open_missing_streams()
    _make_output_safe()
    state = CliContext()
    try:
        color = False if os.environ.get("NO_COLOR") else None
        with threads_reported(state):
            status = cli.main(args, prog_name=PROGRAM, standalone_mode=False, obj=state, color=color)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit:  # raised by click and rich when the reader of a pipe has gone
        status = PIPE_CLOSED
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost edge: whatever is not reported here is a traceback
        status = end_with(error, state)
    return status if isinstance(status, int) else 0


def _open_missing_streams() -> None:
    """Send messages to a log file where there is no terminal at all: started by `pythonw.exe`, as the service is."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    if sys.stderr is None:
        from genrify_tagger.user_folders import user_folder

        folder = user_folder("data")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "service.log")
        sys.stderr = open(path, "w", encoding="utf-8", errors="backslashreplace", buffering=1)  # noqa: SIM115


def _make_output_safe() -> None:
    """Escape what the terminal's encoding cannot show, rather than fail on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="backslashreplace")
