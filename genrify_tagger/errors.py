"""Every error that Genrify Tagger raises on purpose.

The core raises these, batch loops record them and continue, and only the command line prints them and exits.
An error has the path of its file, and a hint where the user can do something about it.
"""

from __future__ import annotations

from typing import Any


class GenrifyError(Exception):
    """Root of all errors raised on purpose.

    Parameters
    ----------
    message : str
        What went wrong, without the path and without a full stop.
    path : str or None
        The file or folder it is about, decoded by `os.fsdecode`.
    hint : str or None
        What the user can do about it.
    """

    exit_status = 1

    def __init__(self, message: str, *, path: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors travel from worker processes, and pickle cannot pass keyword arguments by itself.
        return _rebuild, (type(self), self.message, self.path, self.hint)


def _rebuild(kind: type[GenrifyError], message: str, path: str | None, hint: str | None) -> GenrifyError:
    return kind(message, path=path, hint=hint)


class ConfigError(GenrifyError):
    """A setting, an option or the settings file is wrong."""

    exit_status = 2


class PlayerError(GenrifyError):
    """A player or media server cannot be told that files have changed."""


class DecodeError(GenrifyError):
    """The file has no audio that can be decoded."""


class ModelError(GenrifyError):
    """The model or its sidecar is missing, damaged or unsuitable."""


class TagError(GenrifyError):
    """A file's tags cannot be read or written."""


class TagReadError(TagError):
    """The file's tags cannot be read."""


class NotTaggableError(TagError):
    """The container cannot hold a genre (Matroska, raw AAC)."""


class WriteRefusedError(TagError):
    """Nothing was written, because writing would do damage."""


class ChangedMeanwhileError(WriteRefusedError):
    """Another program changed the file after it was read, so nothing was written."""


class UnfinishedWriteError(TagError):
    """A write could neither be finished nor reverted; it stays pending in the journal until the next start."""


class StoreError(GenrifyError):
    """The database cannot be used."""


class StoreConnectionError(StoreError):
    """The connection to the database server was lost; whether the last change arrived there is unknown."""


class StoreNewerError(StoreError):
    """The database was written by a newer Genrify Tagger."""


class StoreCorruptError(StoreError):
    """The database is damaged."""


class WorkerError(GenrifyError):
    """A worker process ended while processing a file."""


class WorkerCrashedError(WorkerError):
    """The worker process crashed on the file."""


class WorkerTimeoutError(WorkerError):
    """The file took longer than the time limit."""


class WorkerMemoryError(WorkerError):
    """The file needed more memory than the limit."""


class WorkerUnavailableError(WorkerError):
    """No worker process finished the task; the file is not to blame."""


class WorkerStartError(WorkerUnavailableError):
    """No worker process could be started."""


class WorkerKilledError(WorkerUnavailableError):
    """The worker process was killed from outside."""


class SystemMemoryError(WorkerKilledError):
    """The kernel killed the worker process for lack of memory."""


class ClusterError(GenrifyError):
    """The Dask scheduler or its workers cannot be used."""


class InterruptedScanError(GenrifyError):
    """The user stopped the run; all results so far are kept."""

    exit_status = 130
