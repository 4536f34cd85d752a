"""Logging to stderr: plain lines for people, JSON Lines for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal, TextIO

from genrify_tagger.files import printable

LogFormat = Literal["text", "json"]

_OURS = logging.getLogger("genrify_tagger")
# What every record has; anything else was given by `extra` and belongs into the JSON.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(*, verbose: bool = False, quiet: bool = False, log_format: LogFormat = "text") -> None:
    """Send the program's log lines to stderr, replacing what an earlier call set up.

    Parameters
    ----------
    verbose : bool
        Also debug lines of the program, and information of the libraries.
    quiet : bool
        Errors only.
    log_format : {"text", "json"}
        Lines for people, or one JSON object a line.
    """
    handler = _StderrHandler()
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    root = logging.getLogger()
    for old in [h for h in root.handlers if isinstance(h, _StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    root.setLevel(level)
    _OURS.setLevel(logging.ERROR if quiet else logging.DEBUG if verbose else logging.INFO)
    # Python's warnings are for developers.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.WARNING if verbose else logging.ERROR)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to whatever `sys.stderr` is at the moment, because a progress display replaces it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = printable(record.getMessage())
        if record.levelno >= logging.WARNING:
            text = f"genrify-tag: {record.levelname.lower()}: {text}"
        elif record.levelno <= logging.DEBUG:
            text = f"{record.name}: {text}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


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
