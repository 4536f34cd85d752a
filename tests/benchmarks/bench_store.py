"""Measure the store: `python tests/benchmarks/bench_store.py [--json] [--files N]`.

Prints start-up (in processes of their own), look-ups of unchanged files, streaming, the writes of one tagged song,
space per song and memory. Every write is a real one: on a disk whose fsync is slow the journal is slow.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from genrify_tagger.analysis import Analysis
from genrify_tagger.files import FileStat
from genrify_tagger.store import FileRecord, Store, open_store

LABELS = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
SCORES = dict(zip(LABELS, np.random.default_rng(0).dirichlet(np.ones(10)).round(4).tolist(), strict=True))
BATCH = 500
START = """
import time
start = time.perf_counter()
import {modules}
middle = time.perf_counter()
{action}
print(middle - start, time.perf_counter() - middle)
"""


def seconds(name: str, action: Callable[[], object], *, per: float = 1.0) -> dict[str, float]:
    """Seconds and CPU seconds of `action`, divided by `per`."""
    start, cpu = time.perf_counter(), time.process_time()
    action()
    return {f"{name}_s": (time.perf_counter() - start) / per, f"{name}_cpu_s": (time.process_time() - cpu) / per}


def path(number: int) -> str:
    return f"/home/someone/Music/Artist {number // 100:04}/Album {number // 10:05}/{number:06} A title.mp3"


def file_record(number: int) -> FileRecord:
    return FileRecord(
        path=path(number),
        status="tagged",
        stat=FileStat(5_000_000 + number, 1_700_000_000_000_000_000 + number, 1_700_000_000_000_000_000, number),
        audio_key=f"{number:032x}",
        genres=("Jazz",),
        confidence=0.8123,
        scores=SCORES,
        after=("Jazz",),
        vocabulary="gtzan",
        model="musicnn-gtzan-1",
        settings_key="0" * 32,
        duration=241.5,
        container="mp3",
        title=f"A title {number}",
        artist=f"Artist {number // 100:04}",
        album=f"Album {number // 10:05}",
    )


def analysis(seed: int) -> Analysis:
    random = np.random.default_rng(seed)
    return Analysis(
        duration=241.5,
        intervals=random.random((8, 2), np.float32),
        levels=random.random(8, np.float32),
        outputs={"gtzan": random.random((8, 10), np.float32), "outside": random.random((8, 1), np.float32)},
        tags=random.random(50, np.float32),
        embedding=random.random(200, np.float32),
    )


def start_up(url: str) -> dict[str, float]:
    """Seconds to import and to open an up-to-date database, each in a new process; the best of five."""
    opening = f"store = genrify_tagger.store.open_store({url!r}); store.close()"
    code = START.format(modules="sqlalchemy.orm, numpy, genrify_tagger.store", action=opening)
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True) for _ in range(5)]
    times = [tuple(map(float, run.stdout.split())) for run in runs]
    return {"import_s": min(first for first, _ in times), "open_s": min(second for _, second in times)}


def fill(store: Store, files: int) -> None:
    for first in range(0, files, 5000):
        store.save_files(file_record(number) for number in range(first, min(first + 5000, files)))


def batches(files: int) -> Iterator[list[str]]:
    for first in range(0, files, BATCH):
        yield [path(number) for number in range(first, min(first + BATCH, files))]


def look_up(store: Store, files: int) -> None:
    """Ask for all files as a scan of an unchanged library does."""
    assert sum(len(store.files(batch)) for batch in batches(files)) == files


def look_up_raw(store: Store, files: int) -> None:
    """The same rows through sqlite3 alone: the floor."""
    marks = ",".join("?" * BATCH)
    connection = store.read()
    with connection as opened:
        cursor = opened.connection.cursor()
        for batch in batches(files):
            query = (
                f"SELECT * FROM files WHERE path IN ({marks if len(batch) == BATCH else ','.join('?' * len(batch))})"
            )
            cursor.execute(query, [os.fsencode(one) for one in batch]).fetchall()


def tag_songs(store: Store, songs: int) -> None:
    """All that the store does for a newly tagged song."""
    run = store.start_run("bench")
    for number in range(songs):
        record = file_record(10_000_000 + number)
        store.find_analysis(str(record.audio_key), "musicnn-gtzan-1", "mel-1")
        store.save_analysis(str(record.audio_key), "musicnn-gtzan-1", "mel-1", analysis(number))
        store.last_change(record.path, record.audio_key)
        change = store.begin_change(
            run=run,
            path=record.path,
            field="genre",
            before=None,
            after=b"Jazz",
            origin="scan",
            audio_key=record.audio_key,
        )
        store.finish_change(change, "done", stat_after=record.stat)
        store.save_files([record])


def measure(folder: Path, files: int) -> dict[str, float]:
    database = folder / "bench.db"
    url = f"sqlite:///{database}"
    found = seconds("create", lambda: open_store(url).close()) | start_up(url)
    with open_store(url) as store:
        found |= seconds("fill", lambda: fill(store, files))
        found["bytes_a_file"] = os.path.getsize(database) / files
        look_up(store, BATCH)
        memory = peak_mb()
        found |= seconds("look_up_10000", lambda: look_up(store, min(10_000, files)))
        found |= seconds("look_up_10000_raw_sqlite", lambda: look_up_raw(store, min(10_000, files)))
        found |= seconds(f"look_up_{files}", lambda: look_up(store, files))
        found |= seconds(f"stream_{files}", lambda: sum(1 for _ in store.files_under("/home")))
        found |= seconds(f"stream_paths_{files}", lambda: sum(1 for _ in store.paths_under("/home")))
        found |= seconds("counts", store.counts)
        found["memory_growth_mb"] = peak_mb() - memory
        found |= seconds("tag_a_song", lambda: tag_songs(store, 300), per=300)
    with open_store(url) as store:
        size = os.path.getsize(database)
        for number in range(2000):
            store.save_analysis(f"{number:032x}", "musicnn-gtzan-1", "mel-1", analysis(number))
    found["bytes_an_analysis"] = (os.path.getsize(database) - size) / 2000
    found["memory_mb"] = peak_mb()
    return found


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--files", type=int, default=100_000, help="files in the library (default 100,000)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.files)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name:32} {value:12.4f}")


if __name__ == "__main__":
    main()
