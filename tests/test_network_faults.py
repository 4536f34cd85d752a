"""Hosts that scan one library with one database, over a network that fails: each file is written once, by one of them.

A host has its own network, host name and PID namespace: no more is known of it on others than of a machine elsewhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mediafile
import pytest
from sqlalchemy import text

from genrify_tagger.store import BEAT_SECONDS, open_store
from tests.network import Host, Network, network
from tests.program import Program
from tests.test_shared_database import (
    ELSEWHERE,
    INTERRUPTED,
    done_changes,
    music,
    results,
    scanning,
    start,
)

CUT_OFF = (  # one of these is how a host says that it was away for too long
    "cannot be reached any more",
    "has ended a transaction of this computer",
    "this process was silent for too long, and a process on kitchen took the file over",
    "tagged by run 5",
)
HOLD_LOCK = """
import sys, time
from genrify_tagger.store import open_store
with open_store(sys.argv[1]) as store:
    print("connected", flush=True)
    input()
    with store.write():
        print("locked", flush=True)
        time.sleep(600)
"""
EACH = 32  # files
IN_PROGRESS = 3  # at most, with one job
_CHANGES = "SELECT count(*) FROM changes JOIN runs ON runs.id = changes.run WHERE owner LIKE :owner AND state = 'done'"


@pytest.fixture(scope="module")
def lan():
    with network() as made:
        yield made


def harm_once_writing(url: str, ways: Mapping[Host, Callable[[Host], object]]) -> None:
    """Harm each host as soon as it has changed a file, when it still has others to change."""
    deadline, waiting = time.monotonic() + 60, dict(ways)
    with open_store(url) as store:
        while waiting and time.monotonic() < deadline:
            for host in list(waiting):
                with store.read() as connection:
                    changed = connection.execute(text(_CHANGES), {"owner": f"{host.name}|%"}).scalar_one()
                if changed:
                    waiting.pop(host)(host)
            time.sleep(0.05)
    assert not waiting, "a host has changed no file"


def scan(program: Program, host: Host, url: str, folder: Path) -> subprocess.Popen[str]:
    return start(program, host.command(*scanning(program, url, folder)))


@contextmanager
def locker(host: Host, url: str) -> Iterator[Callable[[], None]]:
    """Give what has a host open a transaction and keep it open, so that nobody else can write."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(host.command(sys.executable, "-c", HOLD_LOCK, url), **pipes) as process:

        def lock() -> None:
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "locked\n"

        try:
            assert process.stdout.readline() == "connected\n"
            yield lock
        finally:
            host.kill()


def test_hosts_that_are_killed_frozen_or_cut_off(program, tmp_path, lan: Network):
    """Others take over what they had begun; they write nothing more once they are back, and their next start repairs.

    Nor does a host that was cut off in a transaction keep the others from going on.
    """
    here, there = lan.new_urls()
    ways = {"attic": Host.kill, "cellar": Host.freeze, "barn": Host.cut_off, "shed": Host.unplug}
    folders = {name: tmp_path / "music" / name for name in ways}
    files = [song for folder in folders.values() for song in music(folder, EACH)]
    hosts = {name: lan.host(name) for name in ("vault", "kitchen", *ways)}
    with locker(hosts["vault"], there) as lock:
        scans = {name: scan(program, hosts[name], there, folder) for name, folder in folders.items()}
        harm_once_writing(here, {hosts[name]: harm for name, harm in ways.items()})
        assert done_changes(here).total() < len(files), "too late: everything was done"
        lock()
        hosts["vault"].cut_off()
        with open_store(here) as store:
            began = time.monotonic()
            store.beat(ELSEWHERE)
            assert time.monotonic() - began < BEAT_SECONDS, "who lives must be able to say so"
            store.claim_files(ELSEWHERE, ["/a"])
            assert time.monotonic() - began > BEAT_SECONDS, "nobody else could write"
        told = [results(scan(program, hosts["kitchen"], there, tmp_path / "music"), status=None)]
    refused = {one["error"] for one in told[0]} - {None}
    assert refused <= {INTERRUPTED.format(run=run, host=host) for host in ways for run in range(1, 5)}
    hosts["cellar"].thaw()
    hosts["barn"].connect()
    hosts["shed"].plug_in()
    scans.pop("attic").communicate()
    for name, process in scans.items():
        out, err = process.communicate(timeout=100)
        told.append([json.loads(line) for line in out.splitlines()])
        reasons = {one["error"] or one["reason"] or "" for one in told[-1]}
        assert any(words in "\n".join([err, *reasons]) for words in CUT_OFF), (name, err, reasons)
    told += [results(scan(program, hosts[name], there, folders[name])) for name in scans]
    assert max(Counter(one["path"] for told_by in told for one in told_by if one["status"] == "tagged").values()) == 1
    assert_written_once(here, [path for path in files if path.parts[-3] != "attic"])
    # Those in the middle of whose writes it was killed await the next start there.
    assert len(files) - len(done_changes(here)) <= IN_PROGRESS


def test_a_short_cut_and_a_server_that_restarts(program, tmp_path, lan: Network):
    """Scans go on as if nothing had happened."""
    here, there = lan.new_urls()
    hosts = [lan.host("porch"), lan.host("garage")]
    folders = [tmp_path / "music" / host.name for host in hosts]
    files = [song for folder in folders for song in music(folder, EACH)]
    with open_store(here):
        scans = [scan(program, host, there, folder) for host, folder in zip(hosts, folders, strict=True)]
    harm_once_writing(here, dict.fromkeys(hosts, lambda _: None))
    hosts[0].cut_off()
    hosts[1].unplug()
    assert done_changes(here).total() < len(files), "too late: everything was done"
    time.sleep(2)
    lan.server.restart("immediate")  # as after a crash
    time.sleep(3)
    hosts[0].connect()
    hosts[1].plug_in()
    told = [results(process) for process in scans]
    assert {one["status"] for told_by in told for one in told_by} == {"tagged"}
    assert_written_once(here, files)


def assert_written_once(url: str, files: list[Path]) -> None:
    """Each file has the genre that the journal says, from one write."""
    with open_store(url) as store:
        written = [change for change in store.changes() if change.state == "done"]
    genres = {change.path: change.after_genres for change in written}
    assert len(written) == len(genres)
    assert {str(path): (mediafile.MediaFile(path).genre,) for path in files}.items() <= genres.items()
