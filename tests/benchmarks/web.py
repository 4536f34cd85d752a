"""Measure the speed and size of the page: `python -m tests.benchmarks.web [--tracks N] [--songs N]`.

Everything is measured from outside, through the running server: the first page, the library of 100,000 tracks in every
order, a four-minute MP3 from drop to genre, the search for similar songs, and 50 uploads at once with the memory of all
processes and the patience that the page needs meanwhile.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.config import Settings
from genrify_tagger.pipeline import open_session
from genrify_tagger.store import FileRecord, Store, open_store
from tests.benchmarks.bench_store import LABELS, analysis, file_record
from tests.benchmarks.songs import library
from tests.page import Page, serving
from tests.program import Program

GENRES = ("Blues", "Classical", "Country", "Disco", "Hip-Hop", "Jazz", "Metal", "Pop", "Reggae", "Rock")
STATUSES = {"tagged": 50, "kept": 30, "unsure": 15, "failed": 2, "skipped": 3}
PAGES = {
    "library, first page": "/library",
    "library, by confidence": "/library?order=confidence",
    "library, by genre": "/library?order=genre",
    "library, unsure": "/library?status=unsure&order=confidence",
    "library, search": "/library?q=artist+0042",
    "library, search for a title": "/library?q=title+4242",
    "library, search in vain": "/library?q=no+such+song",
    "library, genre and format": "/library?genre=Rock&format=MP3",
    "overview": "/overview",
}


def fill(program: Program, tracks: int) -> None:
    """Make a database of so many tracks, each with scores and an embedding."""
    program.database.parent.mkdir(parents=True)
    settings = replace(Settings(), database=replace(Settings().database, url=f"sqlite:///{program.database}"))
    with open_session(settings) as session:
        front_end = session.front_end
    with open_store(str(program.database)) as store:
        for first in range(0, tracks, 5000):
            store.save_files(record(number) for number in range(first, min(first + 5000, tracks)))
        _fill_embeddings(store, tracks, front_end)


def record(number: int) -> FileRecord:
    chance = random.Random(number)
    status = chance.choices(list(STATUSES), STATUSES.values())[0]
    genre = chance.choice(GENRES)
    scores = dict(zip(LABELS, np.random.default_rng(number).dirichlet(np.ones(10)).tolist(), strict=True))
    after = (genre,) if status in {"tagged", "kept"} else ()
    return replace(file_record(number), status=status, after=after, confidence=chance.random(), scores=scores)


def _fill_embeddings(store: Store, tracks: int, front_end: str) -> None:
    from sqlalchemy import insert

    from genrify_tagger.store.analyses import _row
    from genrify_tagger.store.tables import ANALYSES

    sidecar, one = load_sidecar(None), _row(analysis(0))
    random_numbers = np.random.default_rng(0)
    for first in range(0, tracks, 5000):
        embeddings = random_numbers.normal(size=(5000, sidecar.embedding_size)).astype(np.float16)
        rows = [
            {
                **one,
                "audio_key": f"{first + n:032x}",
                "model": sidecar.id,
                "front_end": front_end,
                "embedding": e.tobytes(),
            }
            for n, e in enumerate(embeddings[: tracks - first])
        ]
        with store.write() as connection:
            connection.execute(insert(ANALYSES), rows)


def timed(page: Page, path: str, times: int = 7) -> tuple[float, float]:
    """Return the median and the largest of some requests' seconds."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        page.get(path)
        found.append(time.perf_counter() - started)
    return statistics.median(found), max(found)


def large_library(folder: Path, tracks: int) -> None:
    program = Program(folder / "large")
    program.home.mkdir()
    fill(program, tracks)
    with serving(program) as page:
        page.get("/")
        for name, path in PAGES.items():
            time.sleep(0.1)
            middle, worst = timed(page, path)
            tell(f"{name}, of {tracks:,} tracks, ms (median, worst)", middle * 1000, worst * 1000)
        place = page.get("/api/tracks", order="confidence").json["after"]
        middle, worst = timed(page, f"/library?order=confidence&after={place}")
        tell("library, second page by confidence, ms (median, worst)", middle * 1000, worst * 1000)
        songs = library(folder, "mp3-v2.3", 1)
        upload = page.analysed(next(songs.iterdir()))
        first = timed(page, upload["song"]["similar"], 1)[0]
        tell("similar, first search and later ones, ms", first * 1000, timed(page, upload["song"]["similar"])[0] * 1000)
        tell("memory of the server, MB", memory(page, workers=False))


def small_library(folder: Path, songs: int) -> None:
    program = Program(folder / "small")
    program.home.mkdir()
    made = sorted(library(folder, "mp3-v2.3", songs).iterdir())
    with serving(program) as page:
        started = time.perf_counter()
        page.analysed(made[0])
        tell("four-minute MP3 from drop to genre, first (processes start), s", time.perf_counter() - started)
        times = []
        for song in made[1:6]:
            started = time.perf_counter()
            page.analysed(song)
            times.append(time.perf_counter() - started)
        tell("four-minute MP3 from drop to genre, s (median, worst)", statistics.median(times), max(times))
        files = [
            "/",
            *(f"/static/{name}" for name in ("style.css", "icon.svg", "home.js", "common.js", "api.js", "song.js")),
        ]
        tell("first page with all its files, KB", sum(len(page.get(file).body) for file in files) / 1000)
        started = time.perf_counter()
        for file in files:
            page.get(file)
        tell("the same, one after the other, s", time.perf_counter() - started)
        at_once(page, made)


def at_once(page: Page, songs: list[Path]) -> None:
    """Upload all songs at the same moment; watch memory and the page's patience meanwhile."""
    peaks, waits, done = [memory(page)], [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peaks.append(memory(page))
            started = time.perf_counter()
            page.get("/library")
            waits.append(time.perf_counter() - started)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    with ThreadPoolExecutor(len(songs)) as pool:
        states = [upload["state"] for upload in pool.map(page.analysed, songs)]
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    assert states == ["done"] * len(songs), states
    tell(f"{len(songs)} uploads at once, all analysed, s", seconds)
    tell("memory of all processes meanwhile, MB (largest)", max(peaks))
    tell("the library page meanwhile, s (median, worst)", statistics.median(waits), max(waits))


def memory(page: Page, *, workers: bool = True) -> float:
    """Return the megabytes of the server and, if wanted, its worker processes; shared pages are counted once."""
    server = psutil.Process(page.process.pid)
    total = 0.0
    for process in [server, *(server.children(recursive=True) if workers else ())]:
        try:
            total += process.memory_full_info().pss / 2**20
        except psutil.NoSuchProcess:
            continue
    return total


def tell(name: str, *values: float) -> None:
    print(f"{name:<72}" + "".join(f"{value:>10.3g}" for value in values), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--songs", type=int, default=50)
    options = parser.parse_args()
    cache = Path(tempfile.gettempdir()) / "genrify-benchmarks"
    cache.mkdir(exist_ok=True)
    library(cache, "mp3-v2.3", options.songs)
    library(cache, "mp3-v2.3", 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for made in cache.iterdir():
            if made.is_dir():
                (folder / made.name).symlink_to(made)
        large_library(folder, options.tracks)
        small_library(folder, options.songs)
        shutil.rmtree(folder / "large", ignore_errors=True)


if __name__ == "__main__":
    main()
