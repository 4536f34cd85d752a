"""Tasks for worker processes that behave like a decoder on hostile files: crash, hang, take too much memory."""

from __future__ import annotations

import ctypes
import os
import signal
import time


def crash() -> None:
    os.write(2, b"last words\n")
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    while True:
        time.sleep(0.1)


def be_told_to_end() -> str:
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    time.sleep(0.2)
    return "done"


def rest() -> None:
    time.sleep(2)


def eat_memory() -> None:
    held = []
    while True:
        held.append(bytearray(16 << 20))


def raise_odd_error() -> None:
    raise ZeroDivisionError("odd")


def process_id() -> int:
    return os.getpid()


def name_after_a_rest() -> int:
    rest()
    return os.getpid()


def resident_megabytes() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def print_to_stderr() -> None:
    os.write(2, b"noise of a C library\n")


def crash_on(path: str) -> None:
    crash()


def hang_on(path: str) -> None:
    hang()


def eat_memory_on(path: str) -> None:
    eat_memory()
