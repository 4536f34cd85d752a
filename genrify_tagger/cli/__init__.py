"""The command line: one file per command, imported only when the command is typed."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence

import click

from genrify_tagger import __version__
from genrify_tagger.cli.context import CliContext, global_options
from genrify_tagger.cli.lazy_group import LazyGroup

PROGRAM = "genrify-tag"

#: Commands by heading, in the order of the help text, with the first line of their own help.
COMMANDS = {
    "Tag songs": {
        "scan": "Listen to songs and write their genres.",
        "watch": "Tag new songs as they come, until stopped.",
        "set": "Write genres of your own choice.",
        "undo": "Take back what was written.",
    },
    "Look": {
        "show": "Show all that is known of a song.",
        "status": "Count the library; list what is unsure or failed; show the service.",
        "history": "List what was changed, and when.",
        "similar": "List the songs that sound most like one.",
        "serve": "Open the page in the browser.",
        "export": "Print the library as CSV or JSON Lines.",
    },
    "Workbench (needs the extra 'train')": {
        "evaluate": "Judge a model on labelled music.",
        "train": "Train a model on music of your own.",
        "features": "Compute a table of sound features.",
        "plot": "Draw a song.",
    },
    "Set up": {
        "config": "Show, find or create the settings.",
        "service": "Have new songs tagged from the system's start on.",
        "db": "Check, back up or tidy the database.",
        "completion": "Print the script that completes commands in a shell.",
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
    """Listen to music, offline, and write its genre into the files.

    Files that have a genre are left alone unless you ask; every change is journalled and can be taken back.

    \b
    Examples:
      genrify-tag scan ~/Music --dry-run    what would happen
      genrify-tag scan ~/Music              tag what has no genre
      genrify-tag undo                      take the last run back
    """  # noqa: D301 - the backspace is click's mark for lines to be left as they are


def main(args: Sequence[str] | None = None) -> int:
    """Run the program and return its exit status: 0 fine, 1 failures, 2 wrong usage or settings, 130 interrupted.

    This is the one place where errors become words. A command returns its status (None is 0) or raises.

    Parameters
    ----------
    args : sequence of str, optional
        The command line without the program's name; by default the process's own.
    """
    _make_output_safe()
    state = CliContext()
    try:
        color = False if os.environ.get("NO_COLOR") else None
        status = cli.main(args, prog_name=PROGRAM, standalone_mode=False, obj=state, color=color)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SystemExit as end:  # click ends so when the reader of a pipe is gone
        status = end.code
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the edge: nobody else is left to tell the user
        from genrify_tagger.cli.error_exit import end_with

        status = end_with(error, state)
    return status if isinstance(status, int) else 0


def _make_output_safe() -> None:
    """Escape what the terminal's encoding cannot show, instead of failing over it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(io.UnsupportedOperation):
                stream.reconfigure(errors="backslashreplace")
