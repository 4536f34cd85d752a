"""A library too large to be held in memory: a sample of whole artists is learned from, and parts are audited."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from genrify_tagger.learn import learn_vocabulary
from genrify_tagger.learn.contradictions import find_contradictions
from genrify_tagger.learn.sample import parts, sample
from genrify_tagger.pipeline import open_session
from tests.learning import GENRES, fill, settings_for

ARTISTS, SONGS = 20, 5  # of each genre, of each artist


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    settings = settings_for(tmp_path_factory.mktemp("library"))
    records = fill(settings, artists=ARTISTS, songs=SONGS, untagged=1)
    with open_session(settings) as opened:
        # Kids is rare: fifteen artists have it no more.
        rare = [replace(one, after=("Doom Metal",)) for one in records if int(one.artist.split()[-1]) >= 45]
        opened.store.save_files(rare)
        yield opened


def chosen_rows(session, choice):
    return [row for row in session.store.genre_rows() if choice(row)]


def test_a_sample_has_whole_artists_and_prefers_rare_genres(session):
    everything = [*session.store.genre_rows()]
    rows = chosen_rows(session, sample(session, most=150))
    assert 120 <= len(rows) <= 150
    of_artist = Counter(row.artist_key for row in rows)
    assert set(of_artist.values()) == {SONGS}
    share = {name: _songs_of(rows, name) / _songs_of(everything, name) for name in GENRES}
    assert share["Kids"] > 1.5 * share["Doom Metal"]
    assert rows == chosen_rows(session, sample(session, most=150))
    assert chosen_rows(session, sample(session, most=300)) == everything


def test_a_sample_of_a_folder_is_of_artists_with_songs_there(session):
    rows = chosen_rows(session, sample(session, ["/music/3", "/music/4"], most=150))
    assert {row.artist_key for row in rows} == {"artist3", "artist4"}


def test_parts_hold_every_song_once_and_artists_whole(session):
    found = [chosen_rows(session, choice) for choice in parts(session, most=100)]
    assert len(found) == 3
    assert sorted(row.path for rows in found for row in rows) == [row.path for row in session.store.genre_rows()]
    artists = [{row.artist_key for row in rows} for rows in found]
    assert sum(map(len, artists)) == len(set().union(*artists)) == len(GENRES) * ARTISTS


def test_it_is_told_that_a_sample_was_learned_from(session):
    learned = learn_vocabulary(session, "mine", most_songs=150)
    size = learned.report["sample"]
    assert size["of"] == 300
    assert 120 <= size["songs"] <= 150
    assert learned.summary.endswith(f"Learned from a sample: {size['songs']} of 300 songs.")
    assert learn_vocabulary(session, "mine").report["sample"] is None


def test_it_is_told_that_an_audit_is_in_parts(session, caplog):
    steps: list[str] = []
    caplog.set_level("INFO", "genrify_tagger")
    found = find_contradictions(session, on_step=steps.append, most_songs=100)
    assert "auditing in 3 parts" in caplog.text
    assert "reading the library (part 3 of 3)" in steps
    assert [one.log_odds for one in found] == sorted((one.log_odds for one in found), reverse=True)


def _songs_of(rows, genre: str) -> int:
    return sum(row.after == (genre,) for row in rows)
