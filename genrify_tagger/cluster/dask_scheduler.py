"""A Dask scheduler: the connection to it, renewed when it restarts, and which of its workers can be used."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from genrify_tagger import __version__
from genrify_tagger.cluster.dask_connection import ANSWER_SECONDS, connect
from genrify_tagger.errors import ClusterError

log = logging.getLogger(__name__)

_PACKAGE = "genrify_tagger"
_VERSION_SECONDS = 2.0
_SILENT = "it does not answer"


class DaskScheduler:
    """A scheduler and its workers; safe for several threads.

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://nas:8786".
    wait_seconds : float
        How long to wait for a worker that can be used.

    Attributes
    ----------
    client : distributed.Client
        The connection.

    Raises
    ------
    ClusterError
        If there is no scheduler at the address.
    """

    def __init__(self, address: str, *, wait_seconds: float) -> None:
        self._address = address
        self._wait_seconds = wait_seconds
        self._threads: dict[str, int] = {}  # of each worker that is there
        self._accepted: set[str] = set()
        self._refused: dict[str, str] = {}  # and why
        self._lock = threading.Lock()
        self.client = connect(address)

    @property
    def workers(self) -> dict[str, int]:
        """The workers that can be used, and their number of threads."""
        with self._lock:
            return {worker: self._threads[worker] for worker in self._accepted}

    @property
    def dashboard(self) -> str:
        """Address of the scheduler's dashboard; empty if that is unknown."""
        with contextlib.suppress(Exception):  # the user's settings of Dask may ask for a link that cannot be made
            return self.client.dashboard_link or ""
        return ""

    def look(self) -> bool:
        """Ask which workers there are; return whether the scheduler answered."""
        try:
            if self.client.status != "running":
                raise ConnectionError(self.client.status)
            threads = self._ask(self.client.scheduler.ncores)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong while it is away, it is tried again
            log.debug("the Dask scheduler at %s: %s", self._address, error)
            with self._lock:
                self._accepted = set()
            self._reconnect()
            return False
        self._note_who_left(threads)
        self._check({worker for worker in threads if worker not in self._accepted | self._refused_for_good()})
        return True

    def refuse(self, worker: str, reason: str) -> None:
        """Use a worker no more."""
        with self._lock:
            is_known = worker in self._refused
            self._refused[worker] = reason
            self._accepted.discard(worker)
        if not is_known:
            log.warning("the Dask worker %s is not used: %s", worker, reason)

    def refuse_silent(self, workers: Collection[str]) -> set[str]:
        """Use those of the workers that do not answer no more, until they do; return them."""
        silent = set(workers) - self._versions(workers).keys()
        for worker in silent:
            self.refuse(worker, _SILENT)
        return silent

    def wait_for_workers(self, ending: threading.Event) -> None:
        """Wait until another thread's `look` has found a worker that can be used, or the event is set.

        Raises
        ------
        ClusterError
            If that takes too long.
        """
        deadline = time.monotonic() + self._wait_seconds
        while not self._accepted and not ending.wait(0.05):
            if time.monotonic() > deadline:
                raise self._no_worker()

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(Exception):
            self.client.close(timeout=ANSWER_SECONDS)

    def _ask(self, question: Callable[..., Any], *arguments: Any) -> Any:
        return self.client.sync(question, *arguments, callback_timeout=ANSWER_SECONDS)

    def _reconnect(self) -> None:
        if self.client.status == "closed":  # until then it tries by itself
            with contextlib.suppress(ClusterError):
                self.client = connect(self._address)

    def _note_who_left(self, threads: dict[str, int]) -> None:
        with self._lock:
            gone = self._accepted - threads.keys()
            self._threads = threads
            self._accepted -= gone
            # One that comes back may have been upgraded.
            self._refused = {worker: why for worker, why in self._refused.items() if worker in threads}
        for worker in gone:
            log.warning("the Dask worker %s has gone; the others do its files", worker)

    def _refused_for_good(self) -> set[str]:
        with self._lock:
            return {worker for worker, reason in self._refused.items() if reason != _SILENT}

    def _check(self, fresh: Collection[str]) -> None:
        """Accept new workers that answer and have this program."""
        versions = self._versions(fresh)
        for worker in fresh:
            version = versions.get(worker)
            if worker not in versions:
                self.refuse(worker, _SILENT)
            elif version != __version__:
                has = f"Genrify Tagger {version}, not {__version__}" if version else "no Genrify Tagger"
                self.refuse(worker, f"it has {has}")
            else:
                self._accept(worker)

    def _accept(self, worker: str) -> None:
        with self._lock:
            self._accepted.add(worker)
            was_silent = self._refused.pop(worker, None) is not None
        if was_silent:
            log.info("the Dask worker %s answers, and is used", worker)

    def _versions(self, workers: Collection[str]) -> dict[str, str | None]:
        """Return which version of this program workers have, None for none at all; without workers that hang."""
        with contextlib.suppress(Exception):
            answers = self._ask(self._answers, workers) if workers else []
            return {worker: told["packages"].get(_PACKAGE) for answer in answers for worker, told in answer.items()}
        return {}

    async def _answers(self, workers: Collection[str]) -> list[dict[str, Any]]:
        # One by one: `Client.get_versions` asks all, and has no answer while one of them hangs.
        question = {"msg": {"op": "versions", "packages": [_PACKAGE]}, "on_error": "ignore"}
        asked = (self.client.scheduler.broadcast(workers=[worker], **question) for worker in workers)
        limited = (asyncio.wait_for(answer, _VERSION_SECONDS) for answer in asked)
        answers = await asyncio.gather(*limited, return_exceptions=True)
        return [answer for answer in answers if isinstance(answer, dict)]

    def _no_worker(self) -> ClusterError:
        with self._lock:
            refused = "; ".join(f"{worker}: {reason}" for worker, reason in sorted(self._refused.items()))
        reason = f"no worker of the Dask scheduler at {self._address} can be used"
        return ClusterError(f"{reason}: {refused}" if refused else reason, hint="start one with `dask worker`")
