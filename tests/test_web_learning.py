"""Learning on the page, through a running server: why a genre was decided, the audit, the unsure queue."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.learning import add_real_songs, fill, settings_at
from tests.page import Page, serving
from tests.program import Program

SONGS = (
    ("Slow", "Artist 0", "", "Doom Metal"),
    ("Slower", "Artist 0", "Doom Metal", "Doom Metal"),
    ("Chatter", "Anyone", "", "Kids"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    program, music = Program(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("music")
    files = add_real_songs(program, music, SONGS)
    fill(settings_at(program.database), noise=2.5)
    program("learn")
    with serving(program) as page:
        yield program, files, page


@pytest.fixture
def page(made) -> Page:
    return made[2]


def test_the_page_and_the_command_line_explain_a_song_in_the_same_words(made, page):
    program, files, _ = made
    song = page.get(f"/api/tracks/{page.track('Slow.flac')['id']}").json
    shown = json.loads(program("show", str(files[0]), "--format", "json").stdout)
    assert song["evidence"] == shown["evidence"]
    assert song["evidence"]["artist"] == [{"genre": "Doom Metal", "songs": 4, "of": 4}]
    assert song["explanation"].startswith("sounds like ")
    assert "; 4 of 4 other songs of the artist are Doom Metal; written at " in song["explanation"]
    assert song["explanation"] in program("show", str(files[0])).stdout


def test_segments_have_colours_although_the_genres_are_learned(page):
    song = page.get(f"/api/tracks/{page.track('Slow.flac')['id']}").json
    assert {score["label"] for score in song["scores"]} == {"Doom Metal", "Chanson", "Kids"}
    text = page.get("/unsure").text
    labels = json.loads(text.split("data-labels='")[1].split("'")[0])
    assert labels[:3] == [genre["label"] for genre in page.get("/api/genres").json["genres"]]
    assert {part["label"] for part in song["timeline"]} <= set(labels)
    assert text.count("<option") == 3, "only the learned genres are offered"


def test_without_a_learned_vocabulary_there_is_nothing_to_explain(tmp_path: Path):
    (tmp_path / "home").mkdir()
    program = Program(tmp_path / "home")
    add_real_songs(program, tmp_path / "music", SONGS[:1])
    with serving(program) as page:
        song = page.get(f"/api/tracks/{page.track('Slow.flac')['id']}").json
    assert (song["evidence"], song["explanation"]) == ({}, None)
