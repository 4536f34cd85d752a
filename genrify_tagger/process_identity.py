"""Identify a process beyond its reusable number, and find out whether it is still running.

A run, a change in the journal or a temporary file is abandoned only when the process that began it has ended.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from datetime import UTC, datetime, timedelta

if sys.platform == "win32":
    from genrify_tagger import windows_api

# Longer than any write of one file takes. It decides only about processes of other machines and containers.
SILENCE_LIMIT = timedelta(hours=1)
SAME_NAME_LIMIT = timedelta(minutes=5)  # for a container of this name: most likely this one before it was restarted


def this_process() -> str:
    """Identify this process: host, boot, PID namespace, PID and start time, separated by "|"."""
    pid = os.getpid()
    return "|".join((socket.gethostname(), _boot_id(), _pid_namespace(), str(pid), str(start_ticks(pid) or "")))


def host_of(owner: str) -> str:
    """Return the host name in a return value of `this_process`."""
    return owner.partition("|")[0]


def is_gone(owner: str, since: datetime, *, limit: timedelta = SILENCE_LIMIT, now: datetime | None = None) -> bool:
    """Return whether a process has ended.

    Parameters
    ----------
    owner : str
        The return value of `this_process` in that process.
    since : datetime
        Its last sign of life.
    limit : timedelta
        A process of another machine or container is invisible from here; it counts as gone after so much silence, one
        of a container with this one's name after `SAME_NAME_LIMIT` at the latest.
    now : datetime or None
        The time by the clock that `since` is from; None for this machine's.
    """
    host, boot, namespace, pid, started = owner.split("|")
    if host == socket.gethostname() and boot != _boot_id():
        return True
    if (host, namespace) != (socket.gethostname(), _pid_namespace()):
        longest = min(limit, SAME_NAME_LIMIT) if host == socket.gethostname() else limit
        return (now or datetime.now(UTC)) - since > longest
    return not _is_running(int(pid), started)


def start_ticks(pid: int) -> int:
    """Return when a process started; 0 if it has ended or that is unknown.

    In clock ticks since boot on Linux, microseconds since 1970 on macOS, steps of 100 ns since 1601 on Windows.
    """
    return _start(pid) or 0


def _is_running(pid: int, started: str) -> bool:
    ticks = _start(pid)
    return ticks is not None and (not ticks or not started or str(ticks) == started)


if sys.platform == "win32":

    def _start(pid: int) -> int | None:
        return windows_api.process_start(pid)

else:

    def _start(pid: int) -> int | None:
        """Return when a process started; 0 if that is unknown, None if it has ended."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # it runs as another user
        return _start_on_macos(pid) if sys.platform == "darwin" else _start_on_linux(pid)


def _start_on_linux(pid: int) -> int | None:
    """Return the start time in ``/proc``; a process killed but not yet waited for (state "Z") has ended."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if len(fields) <= 19:
        return 0
    return None if fields[0] == "Z" else int(fields[19])


def _start_on_macos(pid: int) -> int | None:
    """Return the start time that libproc reports for one's own processes (proc_bsdinfo in sys/proc_info.h)."""
    import ctypes

    flavour, size, zombie = 3, 136, 5  # PROC_PIDTBSDINFO, the size of its struct, SZOMB
    answer = ctypes.create_string_buffer(size)
    if ctypes.CDLL(None).proc_pidinfo(pid, flavour, ctypes.c_uint64(0), answer, size) != size:
        return 0
    return macos_start(answer.raw) if int.from_bytes(answer.raw[4:8], sys.byteorder) != zombie else None


def macos_start(info: bytes) -> int:
    """Return the start time in a `proc_bsdinfo`: seconds and microseconds, in its last 16 bytes."""
    seconds, microseconds = struct.unpack("=QQ", info[120:136])
    return int(seconds) * 1_000_000 + int(microseconds)


def _boot_id() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
