"""Labels that do not exclude one another, and of which each source of clips knows some only."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")

import broad_head as broad
from clips import SourceClip
from embeddings import SegmentEmbeddings
from genre_head import HeadOptions
from genrify_tagger.classifier import Vocabulary
from genrify_tagger.decision import decide
from genrify_tagger.training.genre_labels import ALLMUSIC, GENRES, POP_ROCK

COLUMN = {label: number for number, label in enumerate(broad.TRAINED)}


def clip(part, *names, number=0):
    answers = frozenset[str]().union(*(ALLMUSIC.get(name, frozenset({name} & set(GENRES))) for name in names))
    return SourceClip(f"{part}/{number}", part, f"artist {number}", answers, answers, 1.0, len(names) == 1, names)


def known(one):
    row = broad.truths([one])[0]
    return {label: bool(row[column]) for label, column in COLUMN.items() if row[column] >= 0} | {"either": row[-1]}


def test_a_gtzan_label_says_nothing_of_further_genres():
    assert known(clip("gtzan_train", "jazz")) == {genre: genre == "jazz" for genre in GENRES} | {"either": -1}


def test_pop_rock_leaves_open_which_of_three_it_is():
    found = known(clip("allmusic", "Pop/Rock", "Electronic"))
    assert found["either"] == 1
    assert not POP_ROCK & set(found)
    assert found["electronic"] and not found["folk"]
    assert "disco" not in found


def test_what_allmusic_does_not_name_does_not_fit():
    found = known(clip("allmusic", "Blues", "Folk"))
    assert {label for label, fits in found.items() if fits is True} == {"blues", "folk"}
    assert found["either"] == -1
    assert found["disco"] is False
    assert set(found) >= POP_ROCK


def test_wordless_music_filed_under_comedy_teaches_nothing_of_speech():
    assert "spoken" not in known(clip("allmusic", "New Age", "Comedy/Spoken"))
    assert known(clip("allmusic", "Comedy/Spoken"))["spoken"] is True


def test_voices_are_spoken_word_and_noise_is_nothing():
    assert [label for label, fits in known(clip("speech")).items() if fits is True] == ["spoken"]
    assert not any(fits is True for fits in known(clip("synthetic")).values())


def test_a_list_says_only_what_fits():
    assert known(clip("more", "rnb")) == {"rnb": True, "either": -1}


def test_where_any_of_three_is_right_the_best_of_them_is():
    clips = [clip("allmusic", "Pop/Rock"), clip("gtzan_valid", "rock")]
    means = np.zeros((2, len(broad.TRAINED)), np.float32)
    means[:, COLUMN["metal"]] = 0.6
    found = broad.acceptable(clips, means)
    assert [found[0, COLUMN[genre]] for genre in ("metal", "pop", "rock")] == [1, -1, -1]
    assert [found[1, COLUMN[genre]] for genre in ("metal", "pop", "rock")] == [0, 0, 1]


def test_a_head_learns_from_what_is_known():
    kinds = [("allmusic", "Jazz", "Folk"), ("allmusic", "Latin"), ("gtzan_train", "metal"), ("allmusic", "Pop/Rock")]
    clips = [clip(*kinds[number % 4], number=number) for number in range(40)]
    owner = np.repeat(np.arange(40), 4)
    rng = np.random.default_rng(0)
    embedding = (rng.normal(size=(160, 200)) * 0.3).astype(np.float32)
    embedding[np.arange(160), owner % 4] += 4
    head = broad.train_broad_head(
        clips,
        SegmentEmbeddings(embedding, owner),
        seed=0,
        options=HeadOptions(nets=2, hidden=32, epochs=20, batch=32, learning_rate=1e-2),
    )
    found = broad.broad_probabilities(head, embedding)
    assert found.shape == (160, len(broad.TRAINED))
    jazz = found[owner % 4 == 0].mean(axis=0)
    assert min(jazz[COLUMN["jazz"]], jazz[COLUMN["folk"]]) > 0.7 > 0.3 > jazz[COLUMN["latin"]]
    pop_rock = found[owner % 4 == 3][:, [COLUMN[genre] for genre in POP_ROCK]]
    assert np.mean(1 - np.prod(1 - pop_rock, axis=1)) > 0.7


def test_scores_are_what_decide_computes():
    rng = np.random.default_rng(1)
    means = rng.uniform(0.05, 0.95, (400, len(broad.TRAINED))).astype(np.float32)
    truth = (rng.random(means.shape) < means**2).astype(np.float32)
    calibration = broad.fit_broad_calibration(means, truth)
    calibration |= broad.tag_biases(rng.random((400, len(broad.TAGGED))), slope=calibration["slope"], threshold=0.6)
    row = np.concatenate([means[0], [0.5] * len(broad.TAGGED)]).astype(np.float32)
    names = broad.broad_names()
    vocabulary = Vocabulary("broad", "multi", broad.LABELS, "broad", None, names, calibration, 0.6)
    decision = decide({"broad": row[np.newaxis]}, np.float32([-20]), vocabulary, max_genres=99)
    expected = broad.broad_scores(row[np.newaxis], calibration, broad.LABELS)[0]
    np.testing.assert_allclose(list(decision.scores.values()), expected, atol=1e-5)
    assert (
        set(decision.genres) == {label for label, score in zip(broad.LABELS, expected, strict=True) if score >= 0.6}
        or not decision.genres
    )
    trained = broad.broad_scores(means, calibration, broad.TRAINED)
    assert trained.mean() == pytest.approx(truth.mean(), abs=0.02)


def test_tags_reach_the_threshold_as_often_as_they_are_meant_to():
    tags = np.random.default_rng(2).random((1000, len(broad.TAGGED))).astype(np.float32)
    biases = broad.tag_biases(tags, slope=1.3, threshold=0.7)
    found = broad.broad_scores(tags, {"slope": 1.3, **biases}, tuple(broad.TAGGED))
    shares = (found >= 0.7).mean(axis=0)
    np.testing.assert_allclose(shares, [share for share, _ in broad.TAGGED.values()], atol=1.5e-3)


def test_names_can_be_written_as_one_genre():
    names = broad.broad_names()
    assert set(names) == set(broad.LABELS)
    assert not any(mark in name for name in names.values() for mark in ";/,|")
    assert {names[label] for label in ("rnb", "newage", "hiphop", "spoken")} == {
        "R&B",
        "New Age",
        "Hip-Hop",
        "Spoken Word",
    }
