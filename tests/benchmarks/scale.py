"""What grows with the library: rescan, status, pages, similar songs, learning, auditing, as one table.

    python -m tests.benchmarks.scale --folder FOLDER 1000 10000 100000 1000000
    python -m tests.benchmarks.scale --folder FOLDER 100000 --postgres          on a PostgreSQL server of its own
    python -m tests.benchmarks.run scale                     the same, up to 100,000 songs

The libraries are made by `scale_library` and kept in the folder, 6 GB for a million songs. Columns are sizes; seconds
"of CPU" depend least on what else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import psutil

from tests.benchmarks import scale_library, scale_postgres
from tests.benchmarks.measure import process, program
from tests.page import serving
from tests.program import Program
from tests.store_databases import PostgresServer, postgres_server

Figures = dict[str, float]
SIZES = (1_000, 10_000, 100_000)
PAGES = {
    "by album": "sort=album",
    "by title": "sort=title",
    "by artist": "sort=artist",
    "by genre": "sort=genre",
    "by confidence": "sort=surest",
    "by time": "sort=newest",
    "by duration": "sort=longest",
    "by path": "sort=path",
    "unsure": "status=unsure&sort=surest",
    "failed": "status=failed&sort=artist",
    "of a genre": "genre=Rock&sort=album",
    "by range of confidence": "low=0.5&high=0.6&sort=title",
}
SEARCHES = {"words": "q=song+4242", "in vain": "q=no+such+song"}
TIMES = 5


def rescan(home: Path, music: Path, url: str) -> Figures:
    run = min((program(home, "scan", music, "--database", url, "--quiet") for _ in range(2)), key=lambda one: one.cpu)
    return {"rescan, s": run.wall, "rescan, s of CPU": run.cpu, "rescan, MB": run.parent_mb}


def status(home: Path, music: Path, url: str) -> Figures:
    run = min((program(home, "status", "--database", url) for _ in range(TIMES)), key=lambda one: one.wall)
    return {"status, s": run.wall, "status, s of CPU": run.cpu}


def pages(home: Path, music: Path, url: str) -> Figures:
    """The slowest kind of page, and the page after one in the middle of the library."""
    with serving(Program(home), "--database", url) as page:
        page.get("/")

        def median_ms(path: str) -> float:
            times = []
            for _ in range(TIMES):
                began = time.perf_counter()
                page.get(path)
                times.append(time.perf_counter() - began)
            return 1000 * statistics.median(times)

        kinds = {name: median_ms(f"/library?{query}") for name, query in PAGES.items()}
        middle = page.get("/api/tracks", order="confidence", low=0.5, high=0.6).json["after"]
        kinds["the next page"] = median_ms(f"/library?sort=surest&after={middle}")
        slowest = max(kinds, key=kinds.__getitem__)
        print(f"the slowest page is {slowest}: {kinds}", file=sys.stderr)
        searches = max(median_ms(f"/library?{query}") for query in SEARCHES.values())
        memory = psutil.Process(page.process.pid).memory_info().rss / 2**20
    median = statistics.median(kinds.values())
    return {
        "page, median kind, ms": median,
        "page, slowest kind, ms": kinds[slowest],
        "page, search, ms": searches,
        "page, MB": memory,
    }


def similar(home: Path, music: Path, url: str) -> Figures:
    shutil.rmtree(f"{url.removeprefix('sqlite:///')}.embeddings", ignore_errors=True)
    command, environment = [sys.executable, "-m", "tests.benchmarks.scale", "--similar", url], {"HOME": str(home)}
    runs = [process(command, {**os.environ, **environment}) for _ in range(2)]
    first, later = (json.loads(run.output.splitlines()[-1]) for run in runs)
    return {
        "similar, first ever (the file is made), s": first[0],
        "similar, first of a process, s": later[0],
        "similar, later, s": statistics.median(later[1:]),
        "similar, MB": max(run.parent_mb for run in runs),
    }


def _search(url: str) -> None:
    """Print the seconds of some searches, without the start of the program."""
    from genrify_tagger.config import load_settings
    from genrify_tagger.pipeline import EmbeddingIndex, open_session

    with open_session(load_settings(overrides={"database.url": url}).settings, files=1) as session:
        _, some = next(session.store.embeddings(session.sidecar.analyses, session.front_end))
        index, times = EmbeddingIndex(session), []
        for embedding in some[: TIMES + 1]:
            began = time.perf_counter()
            assert len(index.nearest(embedding, count=20)) == 20
            times.append(time.perf_counter() - began)
    print(json.dumps(times))


def learn(home: Path, music: Path, url: str) -> Figures:
    run = program(home, "learn", "--database", url)
    return {"learn, s": run.wall, "learn, s of CPU": run.cpu, "learn, MB": run.parent_mb}


def audit(home: Path, music: Path, url: str) -> Figures:
    run = program(home, "audit", "--database", url)
    return {"audit, s": run.wall, "audit, s of CPU": run.cpu, "audit, MB": run.parent_mb}


PARTS: dict[str, Callable[[Path, Path, str], Figures]] = {
    part.__name__: part for part in (rescan, status, pages, similar, learn, audit)
}


def measure(
    folder: Path, songs: int, parts: tuple[str, ...] = tuple(PARTS), server: PostgresServer | None = None
) -> Figures:
    """Return the figures of a library of so many songs, in SQLite or on a server."""
    music, url = scale_library.build(folder / f"scale-{songs}", songs)
    if server is not None:
        file, url = url.removeprefix("sqlite:///"), server.new_url()
        scale_postgres.fill(file, url)
    figures: Figures = {}
    for part in parts:
        with tempfile.TemporaryDirectory() as home:
            figures |= PARTS[part](Path(home), music, url)
    return figures


def table(by_size: dict[int, Figures]) -> str:
    """Return the figures as a table in Markdown, a column for each size."""
    names = list(dict.fromkeys(name for figures in by_size.values() for name in figures))
    lines = ["| | " + " | ".join(f"{size:,}" for size in by_size) + " |", "|---" * (len(by_size) + 1) + "|"]
    for name in names:
        cells = (f"{figures[name]:.3g}" if name in figures else "" for figures in by_size.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "genrify-benchmarks")
    parser.add_argument("--parts", nargs="*", default=tuple(PARTS), choices=PARTS)
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL, with the settings it comes with")
    parser.add_argument("--similar", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.similar:
        _search(arguments.similar)
        return
    print(f"{len(os.sched_getaffinity(0))} cores; load {os.getloadavg()[0]:.1f}", flush=True)
    by_size: dict[int, Figures] = {}
    with postgres_server(settings="") if arguments.postgres else nullcontext() as server:
        for size in arguments.sizes:
            by_size[size] = measure(arguments.folder, size, tuple(arguments.parts), server)
            print(size, by_size[size], f"load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    print(table(by_size))


if __name__ == "__main__":
    main()
