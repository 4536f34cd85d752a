"""A library to learn from, as a scan leaves it in the store: by many artists, and the sound goes with the genre."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from genrify_tagger.analysis import Analysis
from genrify_tagger.classifier import load_sidecar
from genrify_tagger.config import Settings
from genrify_tagger.pipeline import open_session
from genrify_tagger.store import FileRecord
from tests import media
from tests.program import Program

GENRES = ("Doom Metal", "Chanson", "Kids")


def analysis(rng: np.random.Generator, genre: int, *, noise: float = 1.0) -> Analysis:
    """Return an analysis of a made-up song; its tags and embedding lie near those of its genre."""
    sidecar = load_sidecar()
    centre = np.random.default_rng(genre)
    size, n_tags = sidecar.embedding_size, len(sidecar.tags)
    embedding = centre.normal(size=size) + noise * rng.normal(size=size)
    odds = 2 * centre.normal(size=n_tags) - 2 + noise * rng.normal(size=n_tags)
    outputs = {name: np.full((2, width), 0.1, np.float32) for name, width in sidecar.outputs().items()}
    outputs = {name: values for name, values in outputs.items() if name not in ("tags", "embedding")}
    return Analysis(
        duration=30.0,
        intervals=np.array([[0, 3], [3, 6]], np.float32),
        levels=np.array([-20, -20], np.float32),
        outputs=outputs,
        tags=(1 / (1 + np.exp(-odds))).astype(np.float32),
        embedding=embedding.astype(np.float32),
        spread=np.abs(rng.normal(size=size)).astype(np.float32),
    )


def fill(
    settings: Settings,
    *,
    artists: int = 10,
    songs: int = 3,
    untagged: int = 0,
    noise: float = 1.0,
    shuffled: bool = False,
    **values: object,
) -> list[FileRecord]:
    """Store a library: of each genre so many artists with so many songs, of which the first are without a genre."""
    rng = np.random.default_rng(7)
    records = []
    labels = rng.permutation(np.repeat(np.arange(len(GENRES)), artists * songs))
    with open_session(settings) as session:
        for number in range(len(labels)):
            genre, artist, song = number // (artists * songs), number // songs, number % songs
            name = GENRES[labels[number] if shuffled else genre]
            record = FileRecord(
                path=f"/music/{artist}/{song}.flac",
                status="kept",
                reason="has a genre",
                after=(name,),
                before=(name,),
                audio_key=f"{number:032x}",
                title=f"song {song}",
                artist=f"Artist {artist}",
                album="",
                artist_key=f"artist{artist}",
                album_key="",
            )
            if song < untagged:
                record = replace(record, status="unsure", reason="confidence 0.3 below 0.8", after=(), before=())
            records.append(replace(record, **values))
            session.store.save_analysis(
                record.audio_key, session.sidecar.analyses, session.front_end, analysis(rng, genre, noise=noise)
            )
        session.store.save_files(records)
    return records


def settings_for(folder: Path, **tagging: object) -> Settings:
    """Return settings with a database in a folder."""
    return settings_at(folder / "library.db", **tagging)


def settings_at(file: Path, **tagging: object) -> Settings:
    """Return settings with a database in a file."""
    settings = Settings()
    database = replace(settings.database, url=f"sqlite:///{file}")
    return replace(settings, database=database, tagging=replace(settings.tagging, **tagging))


def add_real_songs(program: Program, folder: Path, songs: Sequence[tuple[str, str, str, str]]) -> list[Path]:
    """Scan real files into a library that `fill` may enlarge; they sound, as far as the store knows, as is said here.

    Parameters
    ----------
    program : Program
    folder : Path
        Where to make the files.
    songs : sequence of (title, artist, genre, sound)
        `genre` is in the file, "" for none; `sound` is the one of `GENRES` that the stored analysis is like.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{title}.flac" for title, *_ in songs]
    for number, (file, (title, artist, genre, _)) in enumerate(zip(files, songs, strict=True)):
        tags = {"title": title, "artist": artist, **({"genre": genre} if genre else {})}
        words = [part for key, value in tags.items() for part in ("-metadata", f"{key}={value}")]
        media.ffmpeg("-f", "lavfi", "-i", f"sine=f={300 + 20 * number}:d=6", *words, file)
    program.scan(folder, "--min-confidence", "1")
    rng = np.random.default_rng(11)
    with open_session(settings_at(program.database)) as session:
        for file, (*_, sound) in zip(files, songs, strict=True):
            key = session.store.files([str(file)])[str(file)].audio_key
            found = analysis(rng, GENRES.index(sound))
            session.store.save_analysis(str(key), session.sidecar.analyses, session.front_end, found)
    return files
