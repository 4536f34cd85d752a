"""Learning anew: when it is worth it, what it leaves alone, and that the service does it by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genrify_tagger.learn.renew import renew
from genrify_tagger.learned_vocabulary import learned_vocabulary
from genrify_tagger.pipeline import open_session
from genrify_tagger.store import open_store
from tests.learning import fill, settings_for
from tests.program import Program
from tests.watching import until, watching

NOTHING = {"renewed": False, "reason": None}


@pytest.fixture
def program(tmp_path: Path) -> Program:
    program = Program(tmp_path / "home")
    program.database.parent.mkdir(parents=True)
    return program


def learned(program: Program) -> dict:
    with open_store(f"sqlite:///{program.database}", create=False) as store:
        stored = store.vocabulary_in_use()
    return {} if stored is None else dict(learned_vocabulary(stored.content).report)


def renewed(program: Program, **tagging: object) -> dict:
    with open_session(settings_for(program.database.parent, **tagging)) as session:
        return renew(session)


def test_a_tenth_more_songs_with_a_genre_are_worth_it_and_fewer_are_not(program):
    options = settings_for(program.database.parent)
    fill(options, artists=20)
    assert renewed(program) == NOTHING, "it was never learned"
    program("learn")
    assert renewed(program) == NOTHING
    fill(options, artists=21)
    assert renewed(program) == NOTHING
    fill(options, artists=22)
    done = renewed(program)
    assert done == {"renewed": True, "reason": "198 songs have a genre, 180 had one", "songs": 198, "genres": 3}
    assert learned(program)["songs"] == 198


def test_what_is_not_better_does_not_replace_what_is_in_use(program):
    options = settings_for(program.database.parent)
    fill(options, artists=10)
    program("learn")
    before = learned(program)
    fill(options, artists=12, shuffled=True, artist_key="", album_key="")
    done = renewed(program)
    assert not done["renewed"]
    assert "108 songs have a genre, 90 had one, but " in done["reason"]
    assert learned(program) == before


@pytest.mark.parametrize("arguments", [("--name", "other"), ("/music/1", "/music/2", "/music/11", "/music/21")])
def test_vocabularies_of_another_name_or_of_some_folders_are_left_alone(program, arguments):
    options = settings_for(program.database.parent)
    fill(options, artists=10, songs=9)
    program("learn", *arguments)
    fill(options, artists=20, songs=9)
    assert renewed(program) == NOTHING


def test_the_service_learns_anew_by_itself_unless_told_not_to(program, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    options = settings_for(program.database.parent)
    fill(options, artists=10)
    program("learn")
    fill(options, artists=12)
    with watching(program, music, GENRIFY_LEARN__AUTO="false") as service:
        service.rest()
        assert "vocabulary mine" not in service.words
    assert learned(program)["songs"] == 90
    with watching(program, music) as service:
        until(lambda: "vocabulary mine was learned anew from 108 songs" in service.words, what=service.words)
    assert learned(program)["songs"] == 108


def test_the_service_renews_what_fits_another_model(program, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    options = settings_for(program.database.parent)
    fill(options, artists=10)
    program("learn")
    with open_store(options.database.url, create=False) as store:
        known = learned_vocabulary(store.vocabulary_in_use().content)
        store.save_vocabulary("mine", replace(known, model="earlier-model x").as_bytes(), in_use=True)
    assert "vocabulary mine is stale" in program("scan", music).stderr
    with watching(program, music) as service:
        until(lambda: "was learned anew" in service.words, what=service.words)
        assert "it fits another model or number of segments" in service.words
    assert "another model" not in program("scan", music).stderr
