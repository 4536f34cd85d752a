"""Tasks that the store's tests run in separate processes: `python -m tests.store_tasks TASK URL ...`."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time

from genrify_tagger.errors import StoreError
from genrify_tagger.store import FileRecord, Store, check, open_store
from genrify_tagger.store.connect import parse_url
from genrify_tagger.store.migrate import bring_up_to_date


def hammer(url: str, name: str, rounds: str) -> None:
    """Write and read as a scan does, as fast as it goes."""
    with open_store(url) as store:
        run = store.start_run("scan", [name])
        for number in range(int(rounds)):
            path = f"/music/{name}/{number}.mp3"
            change = store.begin_change(run=run, path=path, field="genre", before=None, after=b"Jazz", origin="scan")
            store.save_files([FileRecord(path=path, status="tagged")])
            store.finish_change(change, "done")
            assert store.files([path])[path].status == "tagged"
        store.finish_run(run, "done", {"tagged": int(rounds)})


def die(url: str) -> None:
    """Begin a change, then stop in the middle of a transaction and wait to be killed."""
    with open_store(url) as store:
        run = store.start_run("scan")
        store.begin_change(run=run, path="/music/a.mp3", field="genre", before=None, after=b"Jazz", origin="scan")
        with store.write() as connection:
            for number in range(2000):  # enough to spill pages into the log
                connection.exec_driver_sql(
                    "INSERT INTO analyses VALUES (?, 'm', 'f', 1, '', '', '[]', '', '', ?, NULL)",
                    (str(number), b"x" * 2000),
                )
            print("killme", flush=True)
            time.sleep(60)


def abandon(url: str) -> None:
    """Begin a change and be killed."""
    store = open_store(url)
    run = store.start_run("scan")
    store.begin_change(run=run, path="/a", field="genre", before=None, after=b"Jazz", origin="scan")
    os.kill(os.getpid(), signal.SIGKILL)


def fill(url: str, limit: str) -> None:
    """Write until nothing more fits (into files of `limit` bytes, or onto the disk), then say what was kept."""
    store = open_store(url)
    if int(limit):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    kept = 0
    try:
        while True:
            _save(store, kept)
            kept += 1
    except StoreError as error:
        print(kept, type(error).__name__, error, flush=True)


def _save(store: Store, number: int) -> None:
    store.save_files([FileRecord(path=f"/music/{number}", status="failed", error="x" * 100_000)])


def backup(url: str, copy: str, limit: str) -> None:
    """Copy the database where files may have `limit` bytes only; print the error."""
    with open_store(url) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        try:
            store.backup(copy)
        except StoreError as error:
            print(f"{error.path}: {error}")


def counts(url: str) -> None:
    """Print the number of files by status and what `check` finds."""
    with open_store(url) as store:
        print(store.counts(), check(url))


def refuse(url: str) -> None:
    """Open and write; print the error in plain words."""
    try:
        with open_store(url) as store:
            store.start_run("scan")
    except StoreError as error:
        print(type(error).__name__, f"{error.path}: {error}")


def upgrade(url: str, head: str, scripts: str, start: str) -> None:
    """Migrate at the time `start`, together with others."""
    store = Store(parse_url(url))
    store.choose_journal_mode()
    time.sleep(max(0.0, float(start) - time.time()))
    bring_up_to_date(store, head=head, scripts=scripts)
    store.close()


def modules(url: str) -> None:
    """Open and print the names of all modules that were imported for it."""
    with open_store(url):
        print(*sys.modules)


if __name__ == "__main__":
    if os.environ.get("TASK_UID"):
        os.setgroups([])
        os.setgid(int(os.environ["TASK_UID"]))
        os.setuid(int(os.environ["TASK_UID"]))
    globals()[sys.argv[1]](*sys.argv[2:])
