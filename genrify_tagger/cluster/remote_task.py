"""What runs on a Dask worker: check that it is the right program and sees the right file, then do the task.

The task itself runs in limited processes, as on one machine: a crash, a hang or a memory bomb costs one file, not the
Dask worker.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genrify_tagger import __version__
from genrify_tagger.classifier import load_sidecar
from genrify_tagger.errors import GenrifyError, WorkerStartError
from genrify_tagger.worker_main import Limits
from genrify_tagger.workers import Workers

_MTIME_SLACK = 2_000_000_000  # ns; network file systems round times


@dataclass(frozen=True)
class Setup:
    """What a worker must have and how it shall analyse.

    Attributes
    ----------
    program, model : str
        Version of the program, and id of the model.
    sidecar : str or None
        Path of the model's sidecar, as workers see it; None for the shipped model.
    segments : int
        Number of segments per song.
    limits : Limits
        Time and memory for one file.
    """

    program: str
    model: str
    sidecar: str | None
    segments: int
    limits: Limits


@dataclass(frozen=True)
class SharedFile:
    """A file as the coordinator sees it.

    Attributes
    ----------
    paths : tuple of str
        Where workers may have it, the likeliest first.
    size, mtime_ns : int
        So that a worker does not take another file for it.
    """

    paths: tuple[str, ...]
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Refusal:
    """Why a worker did not do a task: about the file, or about the worker itself."""

    worker: str
    reason: str
    is_about_file: bool


def run_task(
    setup: Setup, file: SharedFile, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any | GenrifyError | Refusal:
    """Do a task of `worker_main` on a file. Nothing is raised: Dask's client fails over what it cannot unpickle."""
    from distributed import get_worker

    worker = get_worker()
    try:
        pool = _pool(setup, worker.address, worker.state.nthreads)
        path, reason = _find(file)
        if path is None:
            return Refusal(worker.address, reason, is_about_file=True)
        return _outcome(pool, path, functools.partial(function, path, *arguments))
    except WorkerStartError:
        return Refusal(worker.address, "it cannot start processes", is_about_file=False)
    except GenrifyError as error:
        return Refusal(worker.address, str(error), is_about_file=False)
    except Exception as error:  # noqa: BLE001
        return Refusal(worker.address, f"it fails ({type(error).__name__}: {error})", is_about_file=False)


def _outcome(pool: Workers, path: str, task: Callable[[], Any]) -> Any | GenrifyError:
    try:
        return pool.call(path, task)
    except WorkerStartError:
        raise
    except GenrifyError as error:
        return error


_pools: dict[tuple[Setup, str], Workers] = {}  # also by address: several Dask workers may share one process
_lock = threading.Lock()


def _pool(setup: Setup, address: str, jobs: int) -> Workers:
    """Return a Dask worker's processes, which end by themselves when idle."""
    key = setup, address
    with _lock:
        if key not in _pools:
            _check(setup)
            # Dask's own worker processes may not have children, lest these survive them: ours die with their parent.
            multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
            _pools[key] = Workers(jobs=jobs, segments=setup.segments, sidecar=setup.sidecar, limits=setup.limits)
        return _pools[key]


def _check(setup: Setup) -> None:
    if setup.program != __version__:
        raise GenrifyError(f"it has Genrify Tagger {__version__}, not {setup.program}")
    found = load_sidecar(setup.sidecar).id
    if found != setup.model:
        raise GenrifyError(f"it has the model {found}, not {setup.model}")


def _find(file: SharedFile) -> tuple[str | None, str]:
    """Return where the file is on this host; None and the reason if it is not."""
    reason = ""
    for path in file.paths:
        try:
            with open(path, "rb") as opened:  # the coordinator may be allowed to read what this user may not
                found = os.fstat(opened.fileno())
        except OSError as error:
            reason = reason or f"{path}: {error.strerror or error}"
            continue
        if found.st_size == file.size and abs(found.st_mtime_ns - file.mtime_ns) <= _MTIME_SLACK:
            return path, ""
        reason = f"{path} is another file there, or an older version of it"
    return None, reason
