"""Songs whose own genre is unsure get the widest genre in the tree, where that is sure."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from genrify_tagger.decision.evidence import STRANGER, decide_by_probabilities, likeliest_wider
from genrify_tagger.learn import learn_vocabulary
from genrify_tagger.learn.wider import NEVER, find_wider
from genrify_tagger.learned_vocabulary import learned_vocabulary
from genrify_tagger.pipeline import open_session
from tests.learning import fill, settings_for

TREE = {"rock": ("rock",), "hardrock": ("rock", "hard rock"), "folkrock": ("rock", "folk rock"), "r&b": ("R&B",)}


@pytest.fixture
def learned(tmp_path):
    """What is learned where Hard Rock and Folk Rock sound the same, and neither goes by artist."""
    options = settings_for(tmp_path)
    records = fill(options, artists=20, songs=4, untagged=1, artist_key="", album_key="")
    with open_session(options) as session:
        rock = [record for record in records if record.after == ("Doom Metal",)]
        names = [("Hard Rock",) if number % 2 else ("Folk Rock",) for number in range(len(rock))]
        session.store.save_files([replace(record, after=name) for record, name in zip(rock, names, strict=True)])
        return learn_vocabulary(session, "mine")


def test_the_widest_genre_is_the_root_in_the_words_of_the_library():
    found = find_wider(("Hard Rock", "Folk Rock", "Kids"), [("Hard Rock",), ("ROCK", "Kids"), ("Dub",)], TREE)
    assert found.by_genre == {"Hard Rock": "ROCK", "Folk Rock": "ROCK", "Kids": "Kids"}
    assert found.allowed.tolist() == [[True, False], [True, True], [False, False]]
    assert find_wider(("Hard Rock",), [("Hard Rock",)], TREE).by_genre == {"Hard Rock": "Rock"}


def test_it_is_written_where_the_genre_itself_is_unsure(learned):
    vocabulary = learned.vocabulary
    assert vocabulary.genres == ("Chanson", "Folk-Rock", "Hard Rock", "Kids")
    assert dict(vocabulary.wider) == {"Chanson": "Chanson", "Folk-Rock": "Rock", "Hard Rock": "Rock", "Kids": "Kids"}
    held_out = learned.report["held_out"]
    assert held_out["written"] >= 0.95 * held_out["songs"], "also the songs whose own genre is a toss-up"
    assert held_out["right"] >= 0.95 * held_out["written"]
    assert sum(learned.filled) >= 0.95 * learned.untagged

    doubt = np.array([0.01, 0.51, 0.47, 0.01])
    decision = decide_by_probabilities(doubt, STRANGER, vocabulary, min_confidence=0.9)
    assert decision.genres == ("Rock",)
    assert [name for name, _ in decision.nodes] == ["Rock", "Folk-Rock"]
    assert decision.confidence == decision.nodes[0][1] > decision.nodes[1][1]
    assert decide_by_probabilities(np.array([0.999, 0.001, 0.0, 0.0]), STRANGER, vocabulary).genres == ("Chanson",)
    assert (
        decide_by_probabilities(np.array([0.4, 0.2, 0.1, 0.3]), STRANGER, vocabulary, min_confidence=0.9).genres == ()
    )
    alone = replace(vocabulary, wider={**vocabulary.wider, "Folk-Rock": "Folk-Rock", "Hard Rock": "Folk-Rock"})
    assert len(decide_by_probabilities(doubt, STRANGER, alone, min_confidence=0.9).nodes) == 1, "not below itself"
    assert decide_by_probabilities(doubt, STRANGER, vocabulary, min_confidence=1.0).genres == ()
    names, confidence = likeliest_wider(np.array([[0.9, 0.05, 0.05, 0.0]]), STRANGER, vocabulary)
    assert (names, confidence.tolist()) == (["Chanson"], [0.0]), "no wider genre"


def test_it_is_saved_and_what_earlier_versions_saved_has_none(learned):
    content = learned.vocabulary.as_bytes()
    again = learned_vocabulary(content)
    assert (dict(again.wider), again.id) == (dict(learned.vocabulary.wider), learned.vocabulary.id)
    assert again.wider_thresholds == pytest.approx(learned.vocabulary.wider_thresholds)
    with np.load(io.BytesIO(content)) as file:
        kept = {name: file[name] for name in file.files if not name.startswith("wider")}
    earlier = io.BytesIO()
    np.savez(earlier, **kept)
    found = learned_vocabulary(earlier.getvalue())
    assert found.wider_thresholds.tolist() == [NEVER, NEVER]
    assert decide_by_probabilities(np.array([0.01, 0.51, 0.47, 0.01]), STRANGER, found).genres == ()
