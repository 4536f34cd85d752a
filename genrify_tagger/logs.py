"""Logging to stderr: plain lines for people, JSON Lines for machines."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from genrify_tagger.files import printable

LogFormat = Literal["text", "json"]

_OURS = logging.getLogger("genrify_tagger")
# Attributes of every record; anything else comes from `extra` and goes into the JSON.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(
    *, verbose: bool = False, quiet: bool = False, log_format: LogFormat = "text", dated: bool = False
) -> None:
    """Log to stderr, replacing the configuration of an earlier call.

    Parameters
    ----------
    verbose : bool
        Also debug messages of the program, and the tracebacks of libraries; of those only warnings, as always.
    quiet : bool
        Errors only.
    log_format : {"text", "json"}
        Plain lines, or one JSON object per line.
    dated : bool
        Start text lines with the time; or, for systemd's journal, which keeps the time itself, with their level in the
        form that the journal parses.
    """
    handler = _StderrHandler()
    if log_format == "json":
        handler.setFormatter(_JsonFormatter())
    elif dated:
        handler.setFormatter(_JournalFormatter(verbose) if goes_to_journal() else _DatedFormatter(verbose))
    else:
        handler.setFormatter(_TextFormatter(verbose))
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.ERROR if quiet else logging.WARNING)
    _OURS.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    # Python's warnings are for developers.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING if verbose else logging.ERROR)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to the current `sys.stderr`, because a progress display replaces it temporarily."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _TextFormatter(logging.Formatter):
    def __init__(self, verbose: bool) -> None:
        super().__init__()
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage())
        if record.levelno >= logging.WARNING:
            text = f"genrify-tag: {record.levelname.lower()}: {text}"
        elif record.levelno <= logging.DEBUG:
            text = f"{record.name}: {text}"
        shows_traceback = self._verbose or record.name.partition(".")[0] == _OURS.name
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info and shows_traceback else text


class _DatedFormatter(_TextFormatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        return f"{at:%Y-%m-%d %H:%M:%S} {super().format(record)}"


class _JournalFormatter(_TextFormatter):
    """Marks each line with its level, see sd-daemon(3)."""

    def format(self, record: logging.LogRecord) -> str:
        levels = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3}
        mark = f"<{levels.get(record.levelno, 2)}>"
        return "\n".join(mark + line for line in super().format(record).splitlines())


def goes_to_journal() -> bool:
    """Return whether stderr is connected to systemd's journal (see systemd.exec(5))."""
    try:
        device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
        stat = os.fstat(2)
        return (stat.st_dev, stat.st_ino) == (int(device), int(inode))
    except (ValueError, OSError):
        return False


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
