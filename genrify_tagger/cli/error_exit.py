"""End the program after an error: one line on stderr and an exit status."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import traceback
from collections.abc import Iterator

import click

from genrify_tagger.cli.context import CliContext
from genrify_tagger.errors import GenrifyError
from genrify_tagger.files import display_path, json_path, printable
from genrify_tagger.user_folders import user_folder

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
PIPE_CLOSED = 141  # as for a program that SIGPIPE ends: the reader, such as `head`, has closed the pipe


def end_with(error: BaseException, state: CliContext) -> int:
    """Print why the program ends and return the exit status.

    Parameters
    ----------
    error : BaseException
        What was raised.
    state : CliContext
        Decides the format of the line.
    """
    match error:
        case GenrifyError():
            _print_error(str(error), state, path=error.path)
            return error.exit_status
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            return WRONG_USAGE
        case click.UsageError():
            _print_error(_usage(error), state)
            return WRONG_USAGE
        case click.ClickException():
            _print_error(error.format_message(), state)
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            _print_error("interrupted", state)
            return INTERRUPTED
        case BrokenPipeError():
            _close_stdout()
            return PIPE_CLOSED
        case OSError():
            path = error.filename if isinstance(error.filename, str) else None
            _print_error(error.strerror or str(error), state, path=path)
        case MemoryError():
            _print_error("out of memory", state)
        case _:
            _print_unexpected(error, state)
    _close_stdout()
    return FAILED


@contextlib.contextmanager
def threads_reported(state: CliContext) -> Iterator[None]:
    """Report an unexpected error that ends a background thread as any other, and not with Python's traceback."""

    def report(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None and ended.exc_type is not SystemExit:
            _print_unexpected(ended.exc_value, state)

    former, threading.excepthook = threading.excepthook, report
    try:
        yield
    finally:
        threading.excepthook = former


def _usage(error: click.UsageError) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    return f"{message} (see '{error.ctx.command_path} --help')" if error.ctx else message


def _print_unexpected(error: BaseException, state: CliContext) -> None:
    what = f"unexpected error: {''.join(traceback.format_exception_only(error)).strip()}"
    details = "".join(traceback.format_exception(error))
    if state.verbose:
        _write(details)
        _print_error(what, state)
        return
    kept = _save_details(details)
    _print_error(f"{what} ({f'details in {display_path(kept)}' if kept else '--verbose shows the details'})", state)


def _save_details(details: str) -> str | None:
    """Save the details of an unexpected error in the log folder; return the path, or None if that fails."""
    try:
        folder = user_folder("log")
        path = os.path.join(folder, "last-error.txt")
        os.makedirs(folder, exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(details)
    except Exception:  # noqa: BLE001 - whatever broke the program may break this, and must not hide the first error
        return None
    return path


def _print_error(message: str, state: CliContext, *, path: str | None = None) -> None:
    if state.log_format == "json":
        where = json_path(path) if path is not None else {}
        _write(json.dumps({"level": "error", "logger": "genrify_tagger", "message": message, **where}) + "\n")
        return
    where_text = f"{display_path(path)}: " if path is not None else ""
    _write(f"genrify-tag: {where_text}{printable(message)}\n")


def _write(text: str) -> None:
    # If stderr is gone there is no way left to report that.
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr is not None:
            sys.stderr.write(text)
            sys.stderr.flush()


def _close_stdout() -> None:
    """Discard unwritten output, so that Python does not complain about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout is not None:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, sys.stdout.fileno())
            os.close(null)
