"""Which process owns a run, and when it counts as ended."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from genrify_tagger.process_identity import is_gone, this_process
from genrify_tagger.store import utc_now

NAMES = ("host", "boot", "namespace", "pid", "started")
LINUX = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


def owner(**changes: str) -> str:
    return "|".join({**dict(zip(NAMES, this_process().split("|"), strict=True)), **changes}.values())


def test_this_process_is_running() -> None:
    assert not is_gone(this_process(), utc_now() - timedelta(days=300))


def test_an_ended_process_is_gone_at_once() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert is_gone(owner(pid=str(child.pid)), utc_now())


@LINUX
def test_a_killed_process_is_gone_before_its_parent_waits_for_it() -> None:
    code = "from genrify_tagger.process_identity import this_process; print(this_process(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert not is_gone(name, utc_now())
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        assert is_gone(name, utc_now())


@LINUX
def test_a_reused_process_number_is_another_process() -> None:
    assert is_gone(owner(started="1"), utc_now())


@LINUX
def test_nothing_survives_a_reboot() -> None:
    assert is_gone(owner(boot="another"), utc_now())


@pytest.mark.parametrize(
    "changes, minutes", [({"host": "another", "boot": "another"}, 60), ({"namespace": "pid:[1]"}, 5)]
)
def test_other_machines_get_an_hour_and_a_restarted_container_minutes(changes: dict[str, str], minutes: int) -> None:
    assert not is_gone(owner(**changes), utc_now() - timedelta(minutes=minutes - 1))
    assert is_gone(owner(**changes), utc_now() - timedelta(minutes=minutes + 1))
