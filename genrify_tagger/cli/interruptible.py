"""Ctrl-C and SIGTERM end a command cleanly, once."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_AGAIN_SECONDS = 0.05


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first Ctrl-C or SIGTERM into a clean end: finish the current write, keep all results so far.

    Further ones are ignored until the process ends, so that pressing Ctrl-C twice does not cut the clean-up short.
    """
    stopping = False

    def interrupt(*_: object) -> None:
        nonlocal stopping
        stopping = True
        for number in former:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def interrupt_again(lost: Any) -> None:
        """Raise once more what Python drops, because a destructor or the garbage collector ran at that moment."""
        if lost.exc_type is not KeyboardInterrupt:
            former_hook(lost)
            return
        signal.signal(signal.SIGINT, interrupt)
        threading.Timer(_AGAIN_SECONDS, _interrupt_main_thread).start()

    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    former_hook, sys.unraisablehook = sys.unraisablehook, interrupt_again
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, interrupt)
    try:
        yield
    finally:
        sys.unraisablehook = former_hook
        if not stopping:
            for number, handler in former.items():
                signal.signal(number, handler)


def _interrupt_main_thread() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)  # also ends a system call in it
