"""Identify a process beyond its reusable number, and find out whether it is still running.

A run, a change in the journal or a temporary file is abandoned only when the process that began it has ended.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime, timedelta

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
    if (host, namespace) != (socket.gethostname(), _pid_namespace()) or sys.platform == "win32":
        longest = min(limit, SAME_NAME_LIMIT) if host == socket.gethostname() else limit
        return (now or datetime.now(UTC)) - since > longest
    return not _is_running(int(pid), started)


def start_ticks(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if it has ended or that is unknown."""
    state, ticks = _state_and_start(pid)
    return 0 if state == "Z" else ticks


def _is_running(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs as another user
    state, ticks = _state_and_start(pid)
    return state != "Z" and (not ticks or str(ticks) == started)


def _state_and_start(pid: int) -> tuple[str, int]:
    """Return the state letter and the start time; a process killed but not yet waited for is in state "Z"."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (fields[0], int(fields[19])) if len(fields) > 19 else ("", 0)


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
