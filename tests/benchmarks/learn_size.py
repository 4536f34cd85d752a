"""Time and memory of learning from a large library, and of auditing it.

    python -m tests.benchmarks.learn_size 10000 100000

The analyses are made up: their size and the number of genres, artists and albums are what counts here.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from genrify_tagger.pipeline import open_session
from genrify_tagger.store import FileRecord
from genrify_tagger.store.analyses import ANALYSES, _row
from genrify_tagger.store.sql import upsert
from tests.benchmarks.measure import program
from tests.learning import analysis, settings_for

N_GENRES = 20
SONGS_A_ARTIST = 20
SONGS_AN_ALBUM = 10
BATCH = 1000


def fill(folder: Path, songs: int) -> None:
    """Store a library of which a fifth of the songs have no genre."""
    rng = np.random.default_rng(0)
    with open_session(settings_for(folder)) as session:
        for first in range(0, songs, BATCH):
            rows, records = [], []
            for number in range(first, min(first + BATCH, songs)):
                artist = number // SONGS_A_ARTIST
                genre, album = artist % N_GENRES, number // SONGS_AN_ALBUM
                record = FileRecord(
                    path=f"/music/{artist}/{album}/{number}.flac",
                    status="kept",
                    reason="has a genre",
                    after=(f"Genre {genre}",),
                    audio_key=f"{number:032x}",
                    title=f"Song {number}",
                    artist=f"Artist {artist}",
                    album=f"Album {album}",
                    artist_key=f"artist{artist}",
                    album_key=f"artist{artist}/album{album}",
                )
                if number % 5 == 0:
                    record = replace(record, status="unsure", reason="confidence 0.3 below 0.8", after=())
                place = {"model": session.sidecar.analyses, "front_end": session.front_end}
                rows.append({"audio_key": record.audio_key, **place, **_row(analysis(rng, genre, noise=3.0))})
                records.append(record)
            session.store.save_files(records)
            with session.store.write() as connection:
                connection.execute(upsert(connection, ANALYSES), rows)


def main() -> None:
    """Print a row for each size."""
    print("| Songs | Command | Seconds | Seconds of CPU | MB |\n|---|---|---|---|---|")
    for songs in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as name:
            fill(Path(name), songs)
            for command in ("learn", "audit"):
                run = program(Path(name), command, "--database", Path(name) / "library.db")
                print(f"| {songs:,} | {command} | {run.wall:.0f} | {run.cpu:.0f} | {run.parent_mb:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
