"""A server that forks a process for each task, so that hundreds can be killed without starting Python each time.

Run under strace, it lets a task be hit at one chosen system call: strace counts each thread's calls of each name and
strikes at number `WHEN`. So the task runs in a thread of its own, and begins with as many harmless failing calls of
that name as bring the wanted one to that number.

Tasks are read from standard input as JSON, one per line: see `Task`.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from dataclasses import dataclass, field, replace

from genrify_tagger import worker_main
from genrify_tagger.config import AnalysisSettings, DatabaseSettings, Settings, TaggingSettings
from genrify_tagger.errors import GenrifyError
from genrify_tagger.pipeline import ScanOptions, Session, TagWriter, run_record, set_genres, undo_changes
from genrify_tagger.pipeline.reconcile import reconcile
from genrify_tagger.pipeline.scan_folders import scan_folders
from genrify_tagger.pipeline.undo_changes import changes_under
from genrify_tagger.store import open_store
from genrify_tagger.workers import Workers

WHEN = 600
# Every call by which a write can leave something behind, by its number on x86-64.
CALLS = {
    "write": 1,
    "pwrite64": 18,
    "openat": 257,
    "fsync": 74,
    "fdatasync": 75,
    "ftruncate": 77,
    "fallocate": 285,
    "rename": 82,
    "renameat2": 316,
    "link": 86,
    "unlink": 87,
    "fchmod": 91,
    "fchown": 93,
    "fsetxattr": 190,
    "fremovexattr": 199,
    "utimensat": 280,
    "flock": 73,
}
LOOKS = {"newfstatat": 262}


@dataclass(frozen=True)
class Task:
    """What to do with which files, and the call (name, its number from 1) at which to strike; None for none."""

    verb: str
    database: str
    paths: list[str]
    genres: list[str] = field(default_factory=list)
    tagging: dict[str, object] = field(default_factory=dict)
    hits: list[tuple[str, int]] = field(default_factory=list)


class Here(Workers):
    """Analyses in this process: nothing here is meant to be hostile to a decoder."""

    def __init__(self) -> None:
        super().__init__(jobs=1, segments=1)

    def probe(self, path, *, is_new=False):
        return worker_main.probe(path)

    def audio_key(self, path):
        return worker_main.probe(path).key

    def has_audio_of(self, path, former, key):
        return worker_main.has_audio_of(path, former, key)

    def compare_tags(self, *which):
        return worker_main.compare_tags(*which)

    def find_shortfall(self, path):
        return worker_main.find_shortfall(path)


def settings_for(task: Task) -> Settings:
    tagging = replace(TaggingSettings(), min_confidence=0.05, **task.tagging)
    database = replace(DatabaseSettings(), url=task.database)
    return replace(Settings(), tagging=tagging, database=database, analysis=replace(AnalysisSettings(), segments=1))


def results_of(session: Session, run: int, task: Task):
    match task.verb:
        case "set":
            yield from set_genres(session, run, task.paths, task.genres)
        case "undo":
            for path in task.paths:
                yield from undo_changes(session, run, changes_under(session, path))
        case "scan":
            yield from scan_folders(session, task.paths, TagWriter(lambda: run), ScanOptions(force=True))


def work(task: Task) -> None:
    """Do a task as the commands do it, and print the outcome for each file."""
    try:
        with open_store(task.database) as store:
            arm(task.hits)
            if task.verb == "start":
                reconcile(store)
                return
            session = Session(settings_for(task), store, Here())
            with run_record(session, task.verb, []) as run:
                for result in results_of(session, run.number, task):
                    OUTBOX.append({"path": result.path, "status": result.status, "error": result.error})
    except GenrifyError as error:
        OUTBOX.append({"raised": type(error).__name__, "error": str(error)})


def arm(hits: list[tuple[str, int]]) -> None:
    """Advance the call counters so that the wanted call will be number `WHEN`."""
    numbers = CALLS | LOOKS
    for name, nth in hits:
        assert nth <= WHEN, "the call that is hit would be another one"
        for _ in range(WHEN - nth):
            LIBC.syscall(numbers[name], -1, 0, 0, -1, 0)


def tell(**answer: object) -> None:
    """Answer with a call that is not counted."""
    os.writev(1, [json.dumps(answer).encode() + b"\n"])


def child(task: Task) -> None:
    thread = threading.Thread(target=work, args=(task,))
    tell(begun=os.getpid())
    thread.start()
    thread.join()
    tell(results=OUTBOX)


def main() -> None:
    worker_main.probe(sys.argv[1])  # loads the decoder's library once for all
    LIBC.prctl(ctypes.c_int(0x59616D61), ctypes.c_long(-1))  # PR_SET_PTRACER: anybody may attach
    tell(ready=True)
    for line in sys.stdin:
        given = json.loads(line)
        task = Task(**{**given, "hits": [tuple(hit) for hit in given.get("hits", [])]})
        pid = os.fork()
        if pid == 0:
            try:
                child(task)
                os._exit(0)
            finally:
                os._exit(70)
        while True:
            _, status = os.waitpid(pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            tell(stopped=pid)
        tell(ended=os.waitstatus_to_exitcode(status))


LIBC = ctypes.CDLL(None)
OUTBOX: list[dict[str, object]] = []

if __name__ == "__main__":
    main()
