"""Notify systemd of readiness, status and liveness: one text datagram per message (sd_notify(3))."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
import time


class Notifier:
    """Sends messages to the service manager that started this process; does nothing without one.

    Parameters
    ----------
    environ : mapping of str to str, optional
        Source of `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    """

    def __init__(self, environ: os._Environ[str] | dict[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{path[1:]}" if path.startswith("@") else path
        self._status = ""
        self._pinged = 0.0
        self._ping_seconds = _ping_seconds(environ)

    def ready(self) -> None:
        """Report that the service has started, or has reloaded its settings."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the settings are being reloaded; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service is stopping."""
        self._send("STOPPING=1")

    def status(self, words: str) -> None:
        """Show one line in `systemctl status`."""
        if words != self._status:
            self._status = words
            self._send(f"STATUS={words}")

    def ping(self) -> None:
        """Report that the main loop is alive, when a ping is due."""
        if self.pause() <= 0:
            self._pinged = time.monotonic()
            self._send("WATCHDOG=1")

    def pause(self) -> float:
        """Return the seconds until the next ping is due; infinite without a watchdog."""
        return self._pinged + self._ping_seconds - time.monotonic()

    def _send(self, message: str) -> None:
        if sys.platform == "linux" and self._address:
            # The manager may be gone; that must not stop the service.
            with (
                contextlib.suppress(OSError),
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
            ):
                channel.settimeout(1)
                channel.sendto(message.encode("utf-8", "replace"), self._address)


def _ping_seconds(environ: os._Environ[str] | dict[str, str]) -> float:
    """Return the interval between pings: a third of the watchdog's limit; infinite without a watchdog."""
    try:
        seconds = int(environ["WATCHDOG_USEC"]) / 1e6
        is_ours = int(environ.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except (KeyError, ValueError):
        return math.inf
    return seconds / 3 if is_ours and seconds > 0 else math.inf
