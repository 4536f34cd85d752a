"""A second scan of a library in which nothing changed, against walking it and reading the database once."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from genrify_tagger.config import load_settings
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline import open_session
from genrify_tagger.store import FileRecord
from tests.benchmarks.measure import program

SIZES = (1, 100, 10_000, 100_000)
BATCH = 5_000


def measure(folder: Path) -> dict[str, float]:
    """Return wall seconds and parent memory by number of files."""
    figures: dict[str, float] = {}
    for size in SIZES:
        home = folder / f"unchanged-{size}"
        music, database = home / "music", home / "library.db"
        if not database.exists():
            _build(music, database, size)
        runs = [program(home, "scan", music, "--database", database, "--quiet") for _ in range(3)]
        bare = min(_bare(music, database) for _ in range(3))
        assert f"{size:,} unchanged" in program(home, "scan", music, "--database", database).output
        best = min(run.wall for run in runs)
        figures[f"{size} files, s"] = best
        figures[f"{size} files, bare walk, stat and one read, s"] = bare
        figures[f"{size} files, parent, MB"] = max(run.parent_mb for run in runs)
    start = figures["1 files, s"]
    for size in SIZES[2:]:
        beyond = figures[f"{size} files, s"] - start
        figures[f"{size} files, s beyond start-up"] = beyond
        figures[f"{size} files, over bare"] = beyond / figures[f"{size} files, bare walk, stat and one read, s"]
    return figures


def _build(music: Path, database: Path, size: int) -> None:
    """Make a library whose files were all seen: the scan looks at names and fingerprints only, so they are empty."""
    for number in range(size):
        album = music / f"{number // 1000:03}" / f"{number // 12:06}"
        album.mkdir(parents=True, exist_ok=True)
        (album / f"{number:06}.mp3").touch()
    settings = load_settings(overrides={"database.url": str(database)}).settings
    with open_session(settings) as session:
        scores = dict.fromkeys(session.active.vocabulary.labels, 0.1)
        batch = []
        for path in _paths(music):
            batch.append(
                FileRecord(
                    path=path,
                    status="kept",
                    reason="has a genre",
                    stat=file_stat(path),
                    audio_key=f"{len(batch):032x}",
                    genres=("Jazz",),
                    confidence=0.9,
                    scores=scores,
                    before=("Jazz",),
                    after=("Jazz",),
                    vocabulary=session.active.vocabulary.name,
                    model=session.sidecar.id,
                    settings_key=session.active.settings_key,
                    duration=240.0,
                    container="mp3",
                    title="A title",
                    artist="An artist",
                    album="An album",
                )
            )
            if len(batch) == BATCH:
                session.store.save_files(batch)
                batch.clear()
        session.store.save_files(batch)


def _paths(music: Path) -> Iterator[str]:
    for folder, _, names in os.walk(os.path.realpath(music)):
        for name in names:
            yield os.path.join(folder, name)


def _bare(music: Path, database: Path) -> float:
    started = time.perf_counter()
    for path in _paths(music):
        os.stat(path)
    with sqlite3.connect(database) as connection:
        connection.execute("SELECT * FROM files").fetchall()
    connection.close()
    return time.perf_counter() - started
