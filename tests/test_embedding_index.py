"""Similar songs: exact against a plain computation, up to date after a scan, and through the command."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.analysis import Analysis
from genrify_tagger.classifier import load_sidecar
from genrify_tagger.config import DatabaseSettings, Settings
from genrify_tagger.pipeline import EmbeddingIndex, open_session
from genrify_tagger.store import FileRecord
from tests import media

SONGS, DIMENSIONS = 300, load_sidecar(None).embedding_size


def analysis(embedding) -> Analysis:
    one = np.ones((1, 10), np.float32)
    return Analysis(
        duration=60.0,
        intervals=np.array([[0, 3]], np.float32),
        levels=np.zeros(1, np.float32),
        outputs={"gtzan": one},
        tags=np.zeros(50, np.float32),
        embedding=embedding,
    )


@pytest.fixture
def session(tmp_path):
    settings = replace(Settings(), database=DatabaseSettings(url=f"sqlite:///{tmp_path / 'genrify.db'}"))
    with open_session(settings) as opened:
        yield opened


def add(session, number: int, embedding, *, there: bool = True) -> None:
    key = f"{number:032x}"
    session.store.save_analysis(key, session.sidecar.analyses, session.front_end, analysis(embedding))
    if there:
        path = Path(session.store.file).with_name(f"{number:04}.mp3")
        path.touch()
        session.store.save_files([FileRecord(path=str(path), status="kept", audio_key=key)])


def test_the_search_is_exact(session):
    embeddings = np.random.default_rng(0).normal(size=(SONGS, DIMENSIONS)).astype(np.float16).astype(np.float32)
    for number, embedding in enumerate(embeddings):
        add(session, number, embedding, there=number % 7 != 0)
    wanted = embeddings[5]
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = units @ units[5]
    expected = [n for n in np.argsort(-cosines) if n % 7 != 0 and n != 5][:10]
    found = EmbeddingIndex(session).nearest(wanted, count=10, but_not=f"{5:032x}")
    assert [int(Path(one.record.path).stem) for one in found] == expected
    assert [one.similarity for one in found] == pytest.approx([cosines[n] for n in expected], abs=1e-3)


def test_a_song_itself_is_the_nearest_unless_left_out(session):
    embedding = np.random.default_rng(1).normal(size=DIMENSIONS).astype(np.float32)
    add(session, 1, embedding)
    found = EmbeddingIndex(session).nearest(embedding, count=5)
    assert [round(one.similarity, 2) for one in found] == [1.0]
    assert EmbeddingIndex(session).nearest(embedding, count=5, but_not=f"{1:032x}") == []


def test_songs_analysed_later_are_found(session):
    neighbours = EmbeddingIndex(session)
    assert neighbours.nearest(np.ones(DIMENSIONS, np.float32), count=5) == []
    add(session, 1, np.ones(DIMENSIONS, np.float32))
    neighbours._next_check = 0.0  # the pause between two looks, which is short but not nothing
    assert len(neighbours.nearest(np.ones(DIMENSIONS, np.float32), count=5)) == 1


def paths(found) -> list[str]:
    return [Path(one.record.path).name for one in found]


def test_the_file_follows_the_library(session):
    embeddings = np.random.default_rng(2).normal(size=(40, DIMENSIONS)).astype(np.float32)
    for number in range(20):
        add(session, number, embeddings[number])
    assert paths(EmbeddingIndex(session).nearest(embeddings[3], count=1)) == ["0003.mp3"]
    for number in range(20, 40):
        add(session, number, embeddings[number])
    add(session, 4, embeddings[39] + 0.01)  # analysed again
    assert paths(EmbeddingIndex(session).nearest(embeddings[39], count=2)) == ["0039.mp3", "0004.mp3"]
    for number in range(3, 39):
        Path(session.store.file).with_name(f"{number:04}.mp3").unlink()
    session.store.prune([str(Path(session.store.file).parent)])
    found = EmbeddingIndex(session).nearest(embeddings[39], count=5)
    assert set(paths(found)) == {"0000.mp3", "0001.mp3", "0002.mp3", "0039.mp3"}
    (keys,) = Path(f"{session.store.file}.embeddings").glob("*.keys")
    assert keys.stat().st_size == 4 * 32


@pytest.mark.parametrize("part", ["keys", "vectors"])
@pytest.mark.parametrize("damage", [lambda data: data[::-1], lambda data: data[:1001], lambda data: b"x" * len(data)])
def test_a_damaged_file_is_made_anew(session, part, damage):
    embeddings = np.random.default_rng(3).normal(size=(30, DIMENSIONS)).astype(np.float32)
    for number, embedding in enumerate(embeddings):
        add(session, number, embedding)
    right = paths(EmbeddingIndex(session).nearest(embeddings[7], count=9))
    (file,) = Path(f"{session.store.file}.embeddings").glob(f"*.{part}")
    file.write_bytes(damage(file.read_bytes()))
    assert paths(EmbeddingIndex(session).nearest(embeddings[7], count=9)) == right


def test_several_may_write_the_file_at_once(session):
    embeddings = np.random.default_rng(4).normal(size=(200, DIMENSIONS)).astype(np.float32)
    for number, embedding in enumerate(embeddings):
        add(session, number, embedding)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: EmbeddingIndex(session).nearest(embeddings[n], count=1), range(8)))
    assert [paths(one) for one in found] == [[f"{number:04}.mp3"] for number in range(8)]
    (keys,) = Path(f"{session.store.file}.embeddings").glob("*.keys")
    assert len(set(np.frombuffer(keys.read_bytes(), "S32").tolist())) == keys.stat().st_size / 32 == 200


def test_silence_has_no_near_neighbours(session):
    add(session, 1, np.ones(DIMENSIONS, np.float32))
    assert [one.similarity for one in EmbeddingIndex(session).nearest(np.zeros(DIMENSIONS, np.float32), count=5)] == [0]


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    music = tmp_path_factory.mktemp("music")
    for name, kind, source in (
        ("jazz one", "mp3-v2.3", media.JAZZ),
        ("jazz two", "flac", media.JAZZ),
        ("dance one", "opus", media.CLASSICAL),
        ("dance two", "m4a-aac", media.CLASSICAL),
    ):
        media.make(kind, music / name.split()[0], name, source=source)
    return music


def test_the_command_lists_the_nearest_and_writes_a_playlist(command_line, library, tmp_path):
    command_line("scan", "--dry-run", library)
    command_line.scan(library)
    song = library / "jazz" / "jazz one.mp3"
    found = [json.loads(line) for line in command_line("similar", song, "--format", "jsonl").stdout.splitlines()]
    assert next(Path(one["path"]).name for one in found) == "jazz two.flac"
    assert len(found) == 3 and found[0]["similarity"] > 0.9 > found[1]["similarity"]
    playlist = library / "like.m3u8"
    done = command_line("similar", song, "-n", "2", "--playlist", playlist)
    assert done.stdout.splitlines()[0].endswith("jazz two.flac")
    lines = playlist.read_text("utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[1] == "#EXTINF:15,An artist - A title"
    assert lines[2] == "jazz/jazz two.flac"
    assert len(lines) == 5
    elsewhere = tmp_path / "like.m3u8"
    command_line("similar", song, "-n", "1", "--playlist", elsewhere)
    assert elsewhere.read_text("utf-8").splitlines()[2] == str(library / "jazz" / "jazz two.flac")


def test_a_song_outside_the_library_leaves_no_trace(command_line, library, tmp_path):
    command_line.scan(library)
    stranger = media.make("wav", tmp_path, "stranger", source=media.CLASSICAL)
    before = command_line("db", "prune", "--dry-run").stdout
    found = command_line("similar", stranger, "-n", "1").stdout
    assert "dance" in found
    assert command_line("db", "prune", "--dry-run").stdout == before


def test_the_command_reports_errors(command_line, tmp_path):
    song = media.make("flac", tmp_path)
    assert "genrify-tag scan" in command_line("similar", song, status=1).stderr
    assert "no such file" in command_line("similar", tmp_path / "none.mp3", status=1).stderr.lower()
    assert ".m3u8" in command_line("similar", song, "--playlist", tmp_path / "list.txt", status=2).stderr


def test_a_playlist_that_cannot_be_written_is_named(command_line, library, tmp_path):
    command_line.scan(library)
    song = library / "jazz" / "jazz one.mp3"
    nowhere = tmp_path / "none" / "like.m3u8"
    done = command_line("similar", song, "--playlist", nowhere, status=1)
    assert f"{nowhere}: the playlist cannot be written: No such file or directory" in done.stderr
    notes = tmp_path / "notes.m3u8"
    notes.write_text("my notes")
    assert f"{notes}: is not a playlist" in command_line("similar", song, "--playlist", notes, status=1).stderr
    assert notes.read_text() == "my notes"
