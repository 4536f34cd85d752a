"""A connection to a Dask scheduler that outlasts its restarts, and knows which of its workers can be used."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from genrify_tagger import __version__
from genrify_tagger.errors import ClusterError, InterruptedScanError, WorkerKilledError

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
CONNECT_SECONDS = 10.0


class Call:
    """A task on its way.

    Attributes
    ----------
    allowed : frozenset of str
        The workers that may do it.
    worker : str or None
        The worker that has it.
    is_late : bool
        Whether that worker should have answered long ago.
    """

    def __init__(self, future: Future[Any], allowed: Collection[str]) -> None:
        self.future = future
        self.allowed = frozenset(allowed)
        self.worker: str | None = None
        self.is_late = False
        self._since = 0.0
        self._changed = threading.Event()
        future.add_done_callback(lambda _: self._changed.set())

    def wait(self) -> None:
        """Wait until the task has ended, is late, or was given up."""
        self._changed.wait()

    def give_up(self) -> None:
        """Wake whoever waits."""
        self._changed.set()

    def is_with(self, worker: str, patience: float) -> None:
        """Note which worker has it."""
        if self.worker != worker:
            self.worker, self._since = worker, time.monotonic()
        elif time.monotonic() - self._since > patience and not self.future.done():
            self.is_late = True
            self._changed.set()


class DaskClient:
    """A scheduler's workers; safe for several threads.

    Parameters
    ----------
    address : str
        Of the scheduler, such as "tcp://nas:8786".
    wait_seconds : float
        How long to wait for the scheduler, and for a worker that can be used.
    patience : float
        After how many seconds a worker that has a task should have answered.

    Raises
    ------
    ClusterError
        If there is no scheduler at the address, or no worker can be used.
    """

    def __init__(self, address: str, *, wait_seconds: float, patience: float) -> None:
        _silence_dask()
        self.address = address
        self._wait_seconds = wait_seconds
        self._patience = patience
        self._calls: set[Call] = set()
        self._refused: dict[str, str] = {}  # workers, and why they are not used
        self._usable: dict[str, int] = {}  # workers, and their number of threads
        self._seen: set[str] = set()
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._client = self._connect()
        self._wait_for_workers()
        self._monitor = threading.Thread(target=self._watch, name="genrify-cluster", daemon=True)
        self._monitor.start()

    @property
    def usable(self) -> dict[str, int]:
        """The workers that can be used, and their number of threads."""
        return dict(self._usable)

    @property
    def dashboard(self) -> str:
        """Address of the scheduler's dashboard."""
        return str(self._client.dashboard_link)

    def run(self, name: str, function: Callable[..., Any], *arguments: Any, excluded: Collection[str]) -> Any:
        """Run a function on a worker and return what it returns.

        Parameters
        ----------
        name : str
            Of the task, for the dashboard.
        function : callable
        *arguments
            Its arguments.
        excluded : collection of str
            Workers that shall not do it.

        Raises
        ------
        LookupError
            If there are only such workers.
        LateError
            If the worker that has it should have answered long ago.
        WorkerKilledError
            If several workers died of it.
        InterruptedScanError
            If `close` was called.
        ClusterError
            If the scheduler or its workers are gone.
        """
        while True:
            call = self._begin(name, function, arguments, excluded)
            try:
                call.wait()
                if self._ending.is_set():
                    raise InterruptedScanError("interrupted")
                if call.future.status == "finished":
                    with contextlib.suppress(Exception):  # the worker went away with the answer: once more
                        return call.future.result(timeout=CONNECT_SECONDS)
                elif call.future.status == "error":
                    self._raise(call.future)
                elif call.is_late and call.worker is not None:
                    raise LateError(call.worker)
            finally:
                self._end(call)

    def refuse(self, worker: str, reason: str) -> None:
        """Use a worker no more."""
        with self._lock:
            if worker not in self._refused:
                log.warning("the Dask worker %s is not used: %s", worker, reason)
            self._refused[worker] = reason
            self._usable.pop(worker, None)

    def close(self) -> None:
        """Give up all tasks and disconnect."""
        self.interrupt()
        self._monitor.join(CONNECT_SECONDS)
        with contextlib.suppress(Exception):
            self._client.close(timeout=CONNECT_SECONDS)

    def interrupt(self) -> None:
        """Give up all tasks; may be called from any thread."""
        self._ending.set()
        with self._lock:
            for call in self._calls:
                call.give_up()

    def _begin(
        self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], excluded: Collection[str]
    ) -> Call:
        while not self._ending.is_set():
            self._wait_for_workers()
            with self._lock:
                allowed = [worker for worker in self._usable if worker not in excluded]
                if self._usable and not allowed:
                    raise LookupError
                options = {"key": f"{name}-{uuid4().hex}", "pure": False, "workers": allowed}
                with contextlib.suppress(Exception):  # the connection, or the last worker, was lost this moment
                    call = Call(self._client.submit(function, *arguments, **options), allowed)
                    self._calls.add(call)
                    return call
            self._ending.wait(0.1)
        raise InterruptedScanError("interrupted")

    def _end(self, call: Call) -> None:
        with self._lock:
            self._calls.discard(call)
        with contextlib.suppress(Exception):
            if not call.future.done():
                call.future.cancel()

    def _raise(self, future: Future[Any]) -> None:
        from distributed import KilledWorker

        error = future.exception()
        if isinstance(error, KilledWorker):
            raise WorkerKilledError(
                "the Dask workers that analysed it died", hint="the next scan tries this file again"
            )
        reason = str(error).partition("\n")[0].partition("\\n")[0]  # Dask's own are several lines, and escaped
        hint = "do all hosts have the same version of Genrify Tagger and of Dask?"
        raise ClusterError(f"a Dask worker could not run the analysis: {reason}", hint=hint)

    # --- the scheduler and its workers ---

    def _connect(self) -> Client:
        from distributed import Client
        from distributed.comm import parse_address
        from distributed.comm.registry import get_backend

        try:
            get_backend(parse_address(self.address)[0])
            return Client(self.address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as error:
            hint = "start one with `dask scheduler`, and workers with `dask worker`"
            raise ClusterError(f"no Dask scheduler answers at {self.address}", hint=hint) from error
        except ValueError as error:
            hint = "for example tcp://nas:8786, or local"
            raise ClusterError(f"{self.address!r} is not the address of a Dask scheduler", hint=hint) from error

    def _wait_for_workers(self) -> None:
        """Wait until a worker can be used.

        Raises
        ------
        ClusterError
            If that takes too long.
        """
        deadline = time.monotonic() + self._wait_seconds
        while not self._usable and not self._ending.is_set():
            if self._look() and self._usable:
                return
            if time.monotonic() > deadline:
                refused = "; ".join(f"{worker}: {reason}" for worker, reason in sorted(self._refused.items()))
                reason = f"no worker of the Dask scheduler at {self.address} can be used"
                raise ClusterError(f"{reason}: {refused}" if refused else reason, hint="start one with `dask worker`")
            self._ending.wait(0.25)

    def _watch(self) -> None:
        while not self._ending.wait(CHECK_SECONDS):
            if self._look():
                self._note_who_has_what()
            elif self._client.status == "closed":
                with contextlib.suppress(ClusterError):
                    self._client = self._connect()

    def _look(self) -> bool:
        """Look at the scheduler's workers; return whether it answered."""
        try:
            threads = self._client.sync(self._client.scheduler.ncores, callback_timeout=CONNECT_SECONDS)
            fresh = set(threads) - self._seen
            versions = self._client.get_versions(packages=["genrify_tagger"])["workers"] if fresh else {}
        except Exception as error:  # noqa: BLE001 - whatever goes wrong while it is away, it is tried again
            log.debug("the Dask scheduler at %s: %s", self.address, error)
            with self._lock:
                self._usable.clear()
                for call in self._calls:  # Dask may never end what was begun while the connection was being lost
                    call.give_up()
            return False
        for worker in fresh:
            found = versions.get(worker, {}).get("packages", {}).get("genrify_tagger")
            if found != __version__:
                reason = f"it has Genrify Tagger {found}, not {__version__}" if found else "it has no Genrify Tagger"
                self.refuse(worker, reason)
        with self._lock:
            self._seen = set(threads)  # one that comes back may have been upgraded
            self._refused = {worker: why for worker, why in self._refused.items() if worker in threads}
            gone = set(self._usable) - set(threads)
            self._usable = {worker: count for worker, count in threads.items() if worker not in self._refused}
        for worker in gone:
            log.warning("the Dask worker %s has gone; the others do its files", worker)
        return True

    def _note_who_has_what(self) -> None:
        with contextlib.suppress(Exception):
            processing = self._client.processing()
            owners = {key: worker for worker, keys in processing.items() for key in keys}
            with self._lock:
                for call in self._calls:
                    worker = owners.get(call.future.key)
                    if worker is not None:
                        call.is_with(worker, self._patience)
                    elif not call.allowed & set(self._usable):
                        call.give_up()


def _silence_dask() -> None:
    """Keep Dask's messages from the user: what matters is told here, in our words and once.

    Dask sets the levels of its loggers when it is imported, so this comes after the import.
    """
    import distributed  # noqa: F401

    for name in ["asyncio", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("asyncio", "distributed"):
            logging.getLogger(name).setLevel(logging.CRITICAL)


class LateError(Exception):
    """A worker has had a task for too long."""

    def __init__(self, worker: str) -> None:
        super().__init__(worker)
        self.worker = worker
