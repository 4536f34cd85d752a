"""The program's command line in the tests' own process, with worker processes that are kept warm.

Most tests of the command line are about what it does, not how it starts; a start costs 1.6 s, mostly to load the
network into a fresh worker.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

from genrify_tagger import cli, workers
from genrify_tagger.worker_process import WorkerProcess
from tests.program import Program


class WarmWorkers(workers.Workers):
    """Real worker processes that outlive the run that started them, for the next run with the same setup."""

    _kept: ClassVar[dict[object, list[WorkerProcess]]] = {}
    _common_starter: ClassVar[ThreadPoolExecutor | None] = None  # a process dies with the thread that started it

    def __init__(self, **options) -> None:
        super().__init__(**options)
        if WarmWorkers._common_starter is None:
            WarmWorkers._common_starter = ThreadPoolExecutor(1)
        pool = self._pool
        pool._starter.shutdown()
        pool._starter = WarmWorkers._common_starter
        pool._resting = [process for process in self._kept.pop(pool._setup, []) if process.is_usable]

    def close(self) -> None:
        pool = self._pool
        with pool._changed:
            resting, pool._resting = pool._resting, []
        pool._starter = ThreadPoolExecutor(1)
        super().close()
        self._kept.setdefault(pool._setup, []).extend(resting)


class InProcessProgram(Program):
    """`genrify-tag`, run by calling its `main`."""

    def __call__(
        self, *arguments: str | bytes | Path, status: int | None = 0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        words = [os.fsdecode(argument) for argument in arguments]
        with _surroundings(["genrify-tag", *words], self.environment(**environment)) as (out, err):
            returned = cli.main(words)
        done = subprocess.CompletedProcess(words, returned, _text(out), _text(err))
        assert "Traceback" not in done.stderr, done.stderr
        if status is not None:
            assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done


@contextlib.contextmanager
def _surroundings(argv: list[str], environment: dict[str, str]) -> Iterator[tuple[io.TextIOWrapper, io.TextIOWrapper]]:
    """Give the program the environment of a separate process, and restore what it changes."""
    root = logging.getLogger()
    before = dict(os.environ), sys.argv, sys.stdout, sys.stderr, root.handlers[:], root.level, workers.Workers
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv, sys.stdout, sys.stderr = argv, out, err
        workers.Workers = WarmWorkers
        yield out, err
    finally:
        old, sys.argv, sys.stdout, sys.stderr, root.handlers[:], level, workers.Workers = before
        root.setLevel(level)
        os.environ.clear()
        os.environ.update(old)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")
