"""Locks that allow one service per database."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator

from genrify_tagger import open_files
from genrify_tagger.errors import GenrifyError
from genrify_tagger.store import Store, advisory_lock, database_file
from genrify_tagger.store.db_errors import USE_ANOTHER
from genrify_tagger.watch.service_state import lock_path


class AlreadyRunningError(GenrifyError):
    """Another service uses the same database."""


@contextlib.contextmanager
def service_lock(url: str) -> Iterator[None]:
    """Hold the lock file of a database's service; the system releases it however this process ends.

    Parameters
    ----------
    url : str
        The database.

    Raises
    ------
    AlreadyRunningError
        If another process holds it.
    GenrifyError
        If the lock file cannot be opened.
    """
    path = lock_path(url)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | open_files.BINARY, 0o644)
    except OSError as error:
        hint = USE_ANOTHER if database_file(url) else "set XDG_STATE_HOME to a folder that can be written"
        raise GenrifyError(f"the service's lock cannot be written: {error.strerror}", path=path, hint=hint) from error
    with os.fdopen(descriptor, "r+", encoding="ascii", errors="replace") as file:
        if not open_files.try_lock(file.fileno()):
            raise _already_running(file.read().strip())
        # The file stays: if it were deleted, a second service could lock a new file of the same name.
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextlib.contextmanager
def server_lock(store: Store) -> Iterator[None]:
    """Hold the lock on a database server: another service may run on another machine.

    Raises
    ------
    AlreadyRunningError
        If another process holds it.
    """
    with advisory_lock(store, f"process {os.getpid()} on {socket.gethostname()}") as holder:
        if holder is not None:
            raise _already_running(holder)
        yield


@contextlib.contextmanager
def no_service(store: Store, url: str) -> Iterator[None]:
    """Let no service run on a database within the block.

    Raises
    ------
    AlreadyRunningError
        If one is running.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(service_lock(url))
            stack.enter_context(server_lock(store))
        except AlreadyRunningError as error:
            raise AlreadyRunningError(error.message, hint="stop it first") from error
        yield


def _already_running(who: str) -> AlreadyRunningError:
    who = f" (process {who})" if who.isdigit() else f" ({who})" if who else ""
    return AlreadyRunningError(
        f"another genrify-tag watch{who} is running on this database",
        hint="'genrify-tag status' shows it; a second service needs its own --database",
    )
