"""A function applied to many files in processes that may crash, with progress on stderr."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from genrify_tagger.errors import GenrifyError
from genrify_tagger.system_limits import available_processors

T = TypeVar("T")
R = TypeVar("R")


def map_in_processes(
    work: Callable[[T], R], items: Sequence[T], *, jobs: int = 0, time_limit: float = 120.0, title: str = ""
) -> Iterator[tuple[T, R | None, str | None]]:
    """Call `work` on every item, and yield the results in the order of the items.

    Parameters
    ----------
    work : callable
        A module-level function, since it is pickled.
    items : sequence
    jobs : int
        Number of processes; 0 for one per core.
    time_limit : float
        Seconds for each item.
    title : str
        Text of the progress line; empty for none.

    Yields
    ------
    item, result, reason
        `result` is None where the call failed; `reason` then says why.
    """
    from rich.console import Console
    from rich.progress import track

    jobs = min(jobs or available_processors(), max(1, len(items)))
    spawn: Any = get_context("spawn")  # its pipes have a type of their own on Windows
    with ProcessPool(max_workers=jobs, context=spawn, initializer=_single_threaded) as pool:
        results = pool.map(work, items, timeout=time_limit).result()
        rows = track(items, description=title, console=Console(stderr=True), disable=not title, transient=True)
        for item in rows:
            try:
                yield item, next(results), None
            except (GenrifyError, ValueError, MemoryError, TimeoutError, ProcessExpired) as error:
                yield item, None, _reason(error, time_limit)


def _single_threaded() -> None:
    """Limit each process to one thread, since the processes are the parallelism."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[variable] = "1"


def _reason(error: Any, time_limit: float) -> str:
    if isinstance(error, TimeoutError):
        return f"took longer than {time_limit:g} s"
    if isinstance(error, ProcessExpired):
        return "the process crashed"
    return str(error) or type(error).__name__
