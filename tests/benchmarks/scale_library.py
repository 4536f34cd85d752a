"""Make a library of any size, as scans leave it: a tree of sparse files, and a database that knows them all.

    python -m tests.benchmarks.scale_library FOLDER 1000000

Files have the size of songs but no content, since nothing opens them: all are unchanged. Audio keys are digests, so
that neighbours in the tree are far apart in the analyses, as in a real library. Embeddings vary along few directions,
as real ones do. A library of a million songs takes 6 GB and about ten minutes.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from genrify_tagger.config import load_settings
from genrify_tagger.files import file_stat
from genrify_tagger.pipeline import Session, open_session
from genrify_tagger.store import FileRecord, utc_now
from genrify_tagger.store.analyses import ANALYSES
from genrify_tagger.store.tables import CHANGES

GENRES = (
    *("Blues", "Classical", "Country", "Disco", "Hip-Hop", "Jazz", "Metal", "Pop", "Reggae", "Rock", "Folk", "Punk"),
    *("Techno", "House", "Ambient", "Chanson", "Bossa Nova", "Flamenco", "Klezmer", "Doom Metal"),
)
ALBUM, ARTIST = 10, 20  # songs
SEGMENTS = 8
BATCH = 5000  # written together
FILE_BYTES = 5_000_000
TELLING = 20  # directions of the embedding that differ by genre
#: Of twenty songs of an artist, how many a scan left with which status.
STATUSES = ("kept",) * 12 + ("tagged",) * 4 + ("unsure",) * 3 + ("failed",)


def build(folder: Path, songs: int, url: str | None = None) -> tuple[Path, str]:
    """Make the library unless it is there; return its music folder and the URL of its database."""
    music, url = folder / "music", url or f"sqlite:///{folder / 'library.db'}"
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(songs):
            _make_file(path_of(music, number))
        with open_session(load_settings(overrides={"database.url": url}).settings) as session:
            _fill(session, music, songs)
        done.touch()
    return music, url


def path_of(music: Path, number: int) -> str:
    artist, album = number // ARTIST, number // ALBUM
    return f"{music}/{artist // 1000:03}/Artist {artist:06}/Album {album:06}/{number % ALBUM:02} Song {number}.mp3"


def key_of(number: int) -> str:
    return hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()


def _make_file(path: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(FILE_BYTES)


def _fill(session: Session, music: Path, songs: int) -> None:
    run = session.store.start_run("scan", [str(music)])
    analyses = _analyses(session)
    for first in range(0, songs, BATCH):
        numbers = range(first, min(first + BATCH, songs))
        records = [_record(session, music, number) for number in numbers]
        session.store.save_files(records)
        with session.store.write() as connection:
            connection.execute(insert(ANALYSES), next(analyses)[: len(numbers)])
            connection.execute(insert(CHANGES), [_change(run, one) for one in records if one.status == "tagged"])
        print(f"\r{numbers.stop:,} songs", end="", file=sys.stderr)
    print(file=sys.stderr)
    session.store.finish_run(run, "done", {})


def _record(session: Session, music: Path, number: int) -> FileRecord:
    artist, album, genre = number // ARTIST, number // ALBUM, GENRES[number // ARTIST % len(GENRES)]
    genre = GENRES[0] if number % 50 == 0 else genre  # some are wrong
    vocabulary, path = session.active.vocabulary, path_of(music, number)
    chance = np.random.default_rng(number)
    scores = chance.dirichlet(np.ones(len(vocabulary.labels))).round(4)
    record = FileRecord(
        path=path,
        status=STATUSES[(number * 7 + artist) % len(STATUSES)],
        stat=file_stat(path),
        audio_key=key_of(number),
        genres=(genre,),
        confidence=round(chance.random(), 4),
        scores=dict(zip(vocabulary.labels, scores.tolist(), strict=True)),
        vocabulary=vocabulary.name,
        model=session.sidecar.id,
        settings_key=session.active.settings_key,
        duration=round(120 + 240 * chance.random(), 3),
        container="mp3",
        title=f"Song {chance.integers(10**6):06} of {number}",
        artist=f"Artist {artist:06}",
        album=f"Album {album:06}",
        artist_key=f"artist{artist:06}",
        album_key=f"artist{artist:06}/album{album:06}",
    )
    return replace(record, **_outcome(record.status, genre))


def _outcome(status: str, genre: str) -> dict[str, object]:
    if status == "kept":
        return {"before": (genre,), "after": (genre,), "reason": "has a genre"}
    if status == "tagged":
        return {"after": (genre,)}
    if status == "unsure":
        return {"genres": (), "reason": "confidence 0.3 below 0.83"}
    return {"genres": (), "error": "the file is damaged: no audio frame", "audio_key": None, "scores": {}}


def _change(run: int, record: FileRecord) -> dict[str, object]:
    names = {"before_genres": (), "after_genres": record.after}
    made = {"run": run, "path": record.path, "field": "genre", "before": None, "after": record.after[0].encode()}
    state = {"origin": "scan", "state": "done", "created_at": utc_now(), "stat_after": record.stat}
    return {**made, **names, "audio_key": record.audio_key, **state}


def _analyses(session: Session) -> Iterator[list[dict[str, object]]]:
    """Yield the analyses of all songs, in batches: the sound goes with the genre, and somewhat with the artist."""
    sidecar, rng = session.sidecar, np.random.default_rng(0)
    size, n_tags = sidecar.embedding_size, len(sidecar.tags)
    axes = np.linalg.qr(rng.normal(size=(size, size)))[0].astype(np.float32)
    deviation = (np.arange(1, size + 1) ** -0.8).astype(np.float32)  # of real embeddings, about
    genres, tags = rng.normal(size=(len(GENRES), size)), rng.normal(size=(len(GENRES), n_tags))
    genres[:, TELLING:] = 0
    widths = {name: width for name, width in sidecar.outputs().items() if name not in ("tags", "embedding")}
    always = {
        "model": sidecar.analyses,
        "front_end": session.front_end,
        "duration": 240.0,
        "intervals": rng.random((SEGMENTS, 2)).astype("<f4").tobytes(),
        "levels": np.full(SEGMENTS, -20, "<f4").tobytes(),
        "layout": [*map(list, widths.items())],
        "outputs": rng.random(SEGMENTS * sum(widths.values())).astype("<f4").tobytes(),
    }
    for batch in range(10**6):
        numbers = np.arange(batch * BATCH, (batch + 1) * BATCH)
        artists = rng.normal(size=(BATCH // ARTIST, size)).repeat(ARTIST, axis=0)
        which = numbers // ARTIST % len(GENRES)
        sound = (0.7 * genres[which] + artists + rng.normal(size=(BATCH, size), scale=1.5)).astype(np.float32)
        embedding = ((sound * deviation + 2 * deviation[0]) @ axes).astype("<f2")
        spread = np.abs(rng.normal(size=(BATCH, size)) * 0.5).astype("<f2")
        odds = 0.3 * tags[which] - 2 + 2 * rng.normal(size=(BATCH, n_tags))
        likely = (1 / (1 + np.exp(-odds))).astype("<f2")
        arrays = {"tags": likely, "embedding": embedding, "spread": spread}
        yield [
            {**always, "audio_key": key_of(number), **{name: array[row].tobytes() for name, array in arrays.items()}}
            for row, number in enumerate(map(int, numbers))
        ]


if __name__ == "__main__":
    build(Path(sys.argv[1]), int(sys.argv[2]))
