"""Load Dask, connect to a scheduler, start one here; what goes wrong with that, as one line for the user."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING

from genrify_tagger.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 10.0
_CHECK_SETTINGS = "check Dask's own settings, by default in ~/.config/dask"
# By default Dask measures itself up to 100 times a second, which takes processor time from the scan in this process.
_LESS_ABOUT_ITSELF = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
}
_FROM_AFAR = (OSError, asyncio.CancelledError, MemoryError, ValueError)  # errors that are not about settings here


def load_dask() -> None:
    """Import Dask, and keep its messages from the user: what matters is told by this program, once.

    Raises
    ------
    ConfigError
        If Dask's own settings cannot be read.
    """
    try:
        import dask

        # The user's settings for Dask's log are for schedulers and workers; here they could replace this program's log.
        own = dask.config.config.setdefault("distributed", {})
        own.pop("logging-file-config", None)
        own["logging"] = {}
        import distributed  # noqa: F401
    except Exception as error:
        raise ConfigError(f"Dask cannot be loaded: {_first_line(error)}", hint=_CHECK_SETTINGS) from error
    for name in ("dask", "distributed", "tornado", "asyncio", "bokeh"):
        logger = logging.getLogger(name)
        logger.handlers = [logging.NullHandler()]
        logger.propagate = False
    warnings.filterwarnings("ignore", module=r"(dask|distributed|tornado)\b")


def connect(address: str) -> Client:
    """Connect to a scheduler.

    Raises
    ------
    ClusterError
        If it is not one, or does not answer.
    """
    from distributed import Client
    from distributed.comm import get_address_host

    try:
        get_address_host(address)
    except ValueError as error:
        hint = "for example tcp://nas:8786, or local"
        raise ClusterError(f"{address!r} is not the address of a Dask scheduler", hint=hint) from error
    try:
        # `Client` waits for ever for what accepts a connection and says nothing.
        kind = asyncio.run(asyncio.wait_for(_kind(address), ANSWER_SECONDS))
        if kind == "Scheduler":
            return Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
    except Exception as error:
        raise _connection_error(address, _cause(error)) from error
    raise ClusterError(f"at {address} is a Dask {kind.lower()}, not the scheduler", hint="its port is mostly 8786")


async def _kind(address: str) -> str:
    """Return what kind of server of Dask there is at an address."""
    from distributed.core import connect as connect_to_server
    from distributed.security import Security

    security = Security().get_connection_args("client")
    server = await connect_to_server(address, timeout=ANSWER_SECONDS - 1, **security)
    try:
        await server.write({"op": "identity", "reply": True})
        return str((await server.read())["type"])
    finally:
        server.abort()


def _cause(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


def _connection_error(address: str, cause: BaseException) -> ClusterError:
    if isinstance(cause, ssl.SSLError | FileNotFoundError | PermissionError) or not isinstance(cause, _FROM_AFAR):
        reason = _first_line(cause)
        return ClusterError(f"cannot connect to the Dask scheduler at {address}: {reason}", hint=_CHECK_SETTINGS)
    if isinstance(cause, MemoryError | ValueError):  # nonsense, if read as a message of Dask
        return ClusterError(f"what answers at {address} is not a Dask scheduler")
    reason = f" ({cause.strerror})" if isinstance(cause, OSError) and cause.strerror else ""
    hint = "start one with `dask scheduler`, and workers with `dask worker`"
    return ClusterError(f"no Dask scheduler answers at {address}{reason}", hint=hint)


def _first_line(error: BaseException) -> str:
    line = str(error).partition("\n")[0].strip().removesuffix(", original error message:")
    return line or type(error).__name__


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator[str]:
    """Start a scheduler and workers of one thread in this process; yield the scheduler's address.

    Raises
    ------
    ClusterError
        If they do not start.
    """
    import dask
    from distributed import LocalCluster

    try:
        with dask.config.set(_LESS_ABOUT_ITSELF):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=False,  # the analyses run in processes of their own anyway
                memory_limit=0,
                dashboard_address="127.0.0.1:8787",
            )
    except Exception as error:
        raise ClusterError(f"Dask cannot be started: {_first_line(_cause(error))}", hint=_CHECK_SETTINGS) from error
    try:
        yield cluster.scheduler_address
    finally:
        with contextlib.suppress(Exception):
            cluster.close(timeout=ANSWER_SECONDS)
