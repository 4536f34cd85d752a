"""Which process began a run, and whether it still lives: a pending change of a living process is not abandoned."""

from __future__ import annotations

import os
import socket
import sys
from datetime import datetime, timedelta

from genrify_tagger.store.records import utc_now

# No write of one file takes longer; only processes of other machines and containers are judged by it.
PATIENCE = timedelta(hours=1)


def this_process() -> str:
    """Name this process: host, boot, process namespace, number and start time, separated by "|"."""
    pid = os.getpid()
    return "|".join((socket.gethostname(), _boot(), _namespace(), str(pid), _started(pid)))


def is_gone(owner: str, since: datetime) -> bool:
    """Tell whether the process named `owner`, which was last heard of at `since`, has ended.

    A process of another machine or container cannot be seen; it counts as gone after an hour's silence.
    """
    host, boot, namespace, pid, started = owner.split("|")
    if host == socket.gethostname() and boot != _boot():
        return True
    if (host, namespace) != (socket.gethostname(), _namespace()) or sys.platform == "win32":
        return utc_now() - since > PATIENCE
    return not _lives(int(pid)) or _started(int(pid)) not in {started, ""}


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it lives and belongs to someone else
    return True


def _boot() -> str:
    return _read("/proc/sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return the start time in clock ticks since boot, which tells a reused process number; "" where unknown."""
    after_name = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if after_name[:1] == ["Z"]:
        return "ended"  # a killed process that nobody has waited for
    return after_name[19] if len(after_name) > 19 else ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
