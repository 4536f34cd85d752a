"""Signal handlers that set flags and wake the main loop by a socket, because locks are not safe in a handler."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType


class Wake:
    """An event to wait for; `set` may be called from any thread and from a signal handler."""

    def __init__(self) -> None:
        # Sockets, since Windows cannot wait for pipes with `select`.
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def set(self) -> None:
        """End the current or the next `wait`."""
        with contextlib.suppress(OSError):  # the buffer is full, so `wait` will return, or closed, so nothing waits
            self._writer.send(b"\0")

    def wait(self, seconds: float) -> None:
        """Wait until `set` is called, at most `seconds`."""
        if select.select([self._reader], [], [], max(seconds, 0))[0]:
            with contextlib.suppress(BlockingIOError):
                while len(self._reader.recv(4096)) == 4096:
                    pass

    def close(self) -> None:
        """Close the sockets."""
        self._reader.close()
        self._writer.close()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Have Python itself end a `wait` for a signal within the block: on Windows none interrupts `select`."""
        former = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(former)


class ControlFlags:
    """Flags that signal handlers set: to stop, to reload the settings.

    Attributes
    ----------
    wake : Wake
        Wakes the main loop.
    stop, reload : bool
        Whether to stop, and to reload the settings.
    restart : bool
        Whether the main loop has to restart because settings have changed.
    """

    def __init__(self) -> None:
        self.wake = Wake()
        self.stop = False
        self.reload = False
        self.restart = False

    @property
    def leave(self) -> bool:
        """Whether the main loop has to end."""
        return self.stop or self.restart

    def ask_to_stop(self, *_: object) -> None:
        """End the main loop; may be used as a signal handler."""
        self.stop = True
        self.wake.set()

    def ask_to_reload(self, _number: int, _frame: FrameType | None) -> None:
        """Have the settings reloaded."""
        self.reload = True
        self.wake.set()

    @contextlib.contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Turn SIGTERM, SIGINT and SIGHUP into flags within the `with` block."""
        handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]]
        handlers = {signal.SIGTERM: self.ask_to_stop, signal.SIGINT: self.ask_to_stop}
        if sys.platform == "win32":
            handlers[signal.SIGBREAK] = self.ask_to_stop  # Ctrl-Break, and the window was closed
        else:
            handlers[signal.SIGHUP] = self.ask_to_reload
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            with self.wake.on_signals():
                yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            self.wake.close()
