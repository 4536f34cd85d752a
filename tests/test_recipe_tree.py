"""The recipe of the genre tree: which clips are held out together, training, calibration, and the figures told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.classifier import load_sidecar
from genrify_tagger.genre_tree import load_tree_head
from model_card import replace_section
from tree_calibration import Confidences, choose_threshold, choose_writable, cross_fit, fit_calibration
from tree_card import ablations_section, card_section
from tree_clips import LABELS, LEAVES, NAMES, TreeClip, artist_folds, leaf_table, read_tree_clips, source_folds
from tree_features import COPIES, ORIGINAL, TRAINED_COPIES, altered
from tree_head import cross_validate, train_head
from tree_songs import PARENTS, TOPS, Songs, scores_of

MODELS = Path(__file__).parent.parent / "models"
SCORES = json.loads((MODELS / "scores-tree.json").read_text("utf-8"))


def clip(number: int, *answers: str, source: str = "one", **entries) -> TreeClip:
    label = frozenset(answers)
    given = {"part": "world", "artist": f"artist {number}", "allowed": label, "weight": 1.0, **entries}
    return TreeClip(path=f"world/{number}.opus", source=source, answers=label, **given)


def test_the_figures_told_are_those_of_the_shipped_model():
    """After a build: python models/recipe/09_card.py."""
    sidecar = load_sidecar()
    tree = sidecar.vocabularies["tree"]
    assert SCORES["model"] == sidecar.id
    assert SCORES["threshold"] == tree.min_confidence
    card = (MODELS / "MODEL_CARD.md").read_text("utf-8")
    assert replace_section(card, card_section(SCORES), "tree") == card


def test_what_was_tried_is_told_as_it_was_measured():
    ablations = json.loads((MODELS / "recipe/tree_ablations.json").read_text("utf-8"))
    card = (MODELS / "MODEL_CARD.md").read_text("utf-8")
    assert replace_section(card, ablations_section(ablations), "tree ablations") == card
    shipped, held_out = ablations[0], SCORES["held-out sources"]
    for part, figures in (("all", held_out["all"]), ("data/world", held_out["data/world alone"])):
        assert shipped[part]["written"] == pytest.approx(figures["written"]["value"], abs=6e-4)
        assert shipped[part]["right"] == pytest.approx(figures["precision"]["value"], abs=6e-4)


def test_the_recipe_and_the_package_have_the_same_tree():
    tree = load_sidecar().vocabularies["tree"]
    assert tree.tree is not None
    head = load_tree_head(**tree.tree.files(), names=tree.names)
    assert (dict(head.parents), head.leaves, tree.labels, dict(tree.names)) == (PARENTS, LEAVES, LABELS, NAMES)
    assert tree.labels[:10] == load_sidecar().vocabularies["gtzan"].labels, "the timeline is told by these"


def test_what_is_written_has_the_evidence_that_is_asked_for():
    held_out = SCORES["held-out sources"]
    assert min(row["precision"]["value"] for row in held_out.values()) >= 0.9
    writable = load_sidecar().vocabularies["tree"].writable
    assert {row["genre"] for row in SCORES["by genre"]} <= writable
    for row in SCORES["children"]:
        enough = row["right"] >= 0.9 * row["written"] and row["sources"] >= 2
        assert enough == (row["genre"] in writable)


def test_copies_of_songs_do_not_turn_to_another_genre():
    assert set(SCORES["copies"]) == set(COPIES)
    for row in SCORES["copies"].values():
        assert row["another"] <= 0.02 * row["written before"]
        assert row["written before"] == row["same"] + row["unsure"] + row["another"] > 100


def test_sources_are_held_out_whole_and_small_ones_share_folds():
    clips = [clip(n, "jazz", source="large") for n in range(20)] + [
        clip(n, "pop", source=f"s{n}") for n in range(20, 40)
    ]
    clips += [replace(clip(50, "outside"), group="hum", part="synthetic", source="synthetic")]
    folds, names = source_folds(clips)
    assert names[:2] == ["large", "small sources 1"]
    assert set(folds[:20]) == {0}
    assert len(set(folds[20:40])) == 6
    assert names[folds[40]] == "no music 1"


def test_artists_share_a_fold_and_chance_has_a_seed():
    clips = [clip(n, "jazz", artist=f"artist {n % 7}") for n in range(40)]
    folds = artist_folds(clips)
    assert all(len(set(folds[number::7])) == 1 for number in range(7))
    np.testing.assert_array_equal(folds, artist_folds(clips))


def separable(n: int = 240) -> tuple[list[TreeClip], dict[str, np.ndarray]]:
    """Clips of three genres in six sources, told apart by the first features."""
    rng = np.random.default_rng(0)
    genres = ("jazz", "metal", "pop")
    clips = [
        clip(number, genres[number % 3], source=f"source {number % 6 // 2 * 2 + number % 2}") for number in range(n)
    ]
    original = rng.normal(size=(n, 5))
    original[np.arange(n), np.arange(n) % 3] += 6
    copies = {copy: original + rng.normal(scale=0.1, size=original.shape) for copy in TRAINED_COPIES}
    return clips, {ORIGINAL: original, **copies}


def test_a_head_learns_and_a_fold_is_predicted_by_one_that_never_met_it():
    clips, features = separable()
    head = train_head(clips, features)
    assert head.weights.shape == (5, len(LEAVES))
    best = head.predict(features[ORIGINAL]).argmax(axis=1)
    answers = leaf_table([one.answers for one in clips])
    assert answers[np.arange(len(clips)), best].mean() > 0.98
    folds = np.arange(len(clips)) % 3  # each fold holds all there is of one genre
    found = cross_validate(clips, features, folds)[ORIGINAL]
    assert answers[np.arange(len(clips)), found.argmax(axis=1)].mean() == 0


def test_a_held_out_artist_is_not_trained_on_elsewhere():
    clips, features = separable(60)
    clips = [replace(one, artist="the same" if "pop" in one.answers else one.artist) for one in clips]
    folds = np.where(np.arange(60) < 30, 0, 1)
    found = cross_validate(clips, features, folds)[ORIGINAL]
    pop = np.array(["pop" in one.answers for one in clips])
    assert (np.array(LEAVES)[found.argmax(axis=1)][pop] != "pop").all()


def songs_with(n: int = 1600) -> tuple[Songs, np.ndarray]:
    """Songs of four sources of which the claim is right as often as its probability says."""
    rng = np.random.default_rng(3)
    claimed = rng.uniform(0.3, 0.99, n)
    truths = ["jazz" if right else "pop" for right in rng.random(n) < claimed]
    clips = [clip(number, truth, source=f"source {number % 4}") for number, truth in enumerate(truths)]
    leaves = np.zeros((n, len(LEAVES)), np.float32)
    leaves[:, LEAVES.index("jazz")] = claimed
    leaves[:, LEAVES.index("outside")] = 1 - claimed
    return Songs(clips, np.arange(n) % 4), leaves


def test_calibrated_confidence_is_how_often_the_claim_is_right():
    songs, leaves = songs_with()
    scores = scores_of(leaves)
    confidences = cross_fit(songs, {ORIGINAL: scores}, ORIGINAL)[ORIGINAL]
    assert {LABELS[top] for top in confidences.top} == {"jazz"}
    right = songs.right[:, LABELS.index("jazz")]
    for low in (0.3, 0.5, 0.7):
        part = (confidences.top_confidence >= low) & (confidences.top_confidence < low + 0.2)
        assert confidences.top_confidence[part].mean() == pytest.approx(right[part].mean(), abs=0.1)
    assert set(fit_calibration(songs, scores, np.ones(len(songs.clips), bool))) >= {
        "above",
        "below",
        "bias",
        "bias:rock",
        "child",
    }


def test_the_threshold_is_the_lowest_with_nine_of_ten_right():
    songs, leaves = songs_with()
    confidences = cross_fit(songs, {ORIGINAL: scores_of(leaves)}, ORIGINAL)[ORIGINAL]
    everything = np.ones(len(songs.clips), bool)
    threshold = choose_threshold(songs, confidences, frozenset(TOPS), everything)
    right = songs.right[:, LABELS.index("jazz")]

    def precision(at: float) -> float:
        return float(right[confidences.top_confidence >= at].mean())

    assert precision(threshold) >= 0.9 > precision(round(threshold - 0.01, 2))


def test_one_source_is_not_enough_evidence():
    songs, _ = songs_with(8)
    n = len(songs.clips)
    jazz = np.full(n, LABELS.index("jazz"))
    sure = Confidences(jazz, np.full(n, 0.9), np.full(n, -1), np.zeros(n))
    assert choose_writable(songs, sure) == {"jazz"}
    alone = Songs([replace(one, source="only") for one in songs.clips], songs.folds)
    assert choose_writable(alone, sure) == frozenset()


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_differs_and_is_the_same_each_time(copy):
    y = np.random.default_rng(0).normal(scale=0.3, size=(2, 48000)).astype(np.float32)
    found = altered(y, copy, "a clip")
    assert (found.shape, found.dtype) == (y.shape, np.float32)
    assert np.abs(found - y).max() > 0.01
    np.testing.assert_array_equal(found, altered(y, copy, "a clip"))


def test_labels_are_partial_and_pop_from_elsewhere_is_pop(tmp_path):
    data = tmp_path / "data"
    for folder in ("gtzan/rock", "gtzan_slivers/rock", "splits", "allmusic", "more", "world"):
        (data / folder).mkdir(parents=True)
    for name in ("gtzan/rock/rock.00001.opus", "gtzan/rock/rock.00002.opus", "gtzan_slivers/rock/rock.00001_3.opus"):
        (data / name).touch()
    (data / "splits/train_filtered.txt").write_text("rock/rock.00001.wav\n")
    (data / "splits/valid_filtered.txt").write_text("")
    (data / "allmusic/labels.csv").write_text(
        "file,artist,title,genres\na.opus,A,T,Pop/Rock\nb.opus,B,T,R&B;Jazz\nc.opus,C,T,Holiday\nd.opus,D,T,Holiday;Jazz\n"
    )
    (data / "more/labels.csv").write_text(
        "file,source,artist,title,genre,source_sample_rate,reliability\ne.opus,homburg,E,T,blues,8000,high\n"
    )
    (data / "world/labels.csv").write_text(
        "file,source,artist,title,genres,detail,reliability\nf.opus,s,F,T,pop;world,,low\ng.opus,s,G,T,world,,high\n"
    )
    clips = {one.path: one for one in read_tree_clips(tmp_path) if one.is_music}
    assert "gtzan/rock/rock.00002.opus" not in clips, "on neither list"
    sliver = clips["gtzan_slivers/rock/rock.00001_3.opus"]
    assert (sliver.part, sliver.is_judged) == ("slivers", False)
    assert clips["allmusic/a.opus"].allowed == {"pop", "rock", "metal", "punk"}
    assert clips["allmusic/b.opus"].allowed == {"rnb", "disco"}
    assert clips["allmusic/b.opus"].answers == {"rnb", "disco", "jazz"}
    assert clips["allmusic/c.opus"].answers == clips["allmusic/c.opus"].allowed == {"outside"}
    assert clips["allmusic/d.opus"].allowed == frozenset(), "the first genre counts, and is none of the tree"
    assert clips["more/e.opus"].weight == 0
    assert clips["world/f.opus"].allowed == {"pop"}
    assert clips["world/f.opus"].answers == {"pop", "world"}
    assert clips["world/g.opus"].allowed == {"world"}
