"""Training, validation and calibration of the head, on a toy world whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")

from accuracy import accuracy_figures, artist_bootstrap, auroc, group_decisions, group_of
from calibration_songs import ALIKE, gather_songs, library_weights, nested_confidences, sharpened
from clips import CLASSES, OUTSIDE, SourceClip
from cross_validation import cross_validate_genres, fold_numbers, song_means
from embeddings import SegmentEmbeddings
from genre_head import HeadOptions, genre_probabilities, segment_weights, train_genre_head
from genrify_tagger.classifier import Vocabulary
from genrify_tagger.decision import decide
from genrify_tagger.training.calibration import CalibrationSongs, choose_threshold, confidences, fit_confidence
from genrify_tagger.training.genre_labels import GENRES, POP_ROCK
from genrify_tagger.training.metrics import calibration_error, reliability

QUICK = HeadOptions(nets=2, hidden=32, epochs=10, batch=32, learning_rate=1e-2)
SEGMENTS = 6


def clip(number, *, allowed, part="allmusic", artist=None, weight=1.0, single=True, answers=None):
    allowed = frozenset(allowed)
    answers = allowed - {OUTSIDE} if answers is None else frozenset(answers)
    return SourceClip(f"{part}/{number}", part, artist or f"artist {number // 2}", allowed, answers, weight, single)


@pytest.fixture(scope="module")
def world():
    """Clips of four kinds, each kind a direction of the embedding; artists have two clips each."""
    kinds = [{"blues"}, {"jazz"}, POP_ROCK, {OUTSIDE}]
    clips = [clip(number, allowed=kinds[number // 2 % 4]) for number in range(80)]
    clips += [clip(number, allowed={"jazz"}, part="gtzan_valid", artist="gtzan valid") for number in range(80, 90)]
    clips += [clip(number, allowed={"metal"}, part="gtzan_train", artist="gtzan train") for number in range(90, 100)]
    rng = np.random.default_rng(0)
    centres = {"blues": 0, "jazz": 1, "metal": 2, OUTSIDE: 3}
    owner = np.repeat(np.arange(len(clips)), SEGMENTS)
    embedding = rng.normal(size=(len(owner), 200)) * 0.5
    for row, number in enumerate(owner):
        embedding[row, centres[min(clips[number].allowed)]] += 4
    return clips, SegmentEmbeddings(embedding.astype(np.float32), owner)


@pytest.fixture(scope="module")
def run(world):
    clips, segments = world
    return cross_validate_genres(clips, segments, segments, seed=0, options=QUICK)


def test_clips_count_alike_and_rare_classes_up_to_five_times():
    clips = [clip(n, allowed={"jazz"}) for n in range(10)] + [clip(10, allowed={"blues"})]
    owner = np.array([0] * 20 + list(range(1, 10)) + [10] * 2)
    weights = segment_weights(clips, owner)
    per_clip = np.bincount(owner, weights)
    assert weights.mean() == pytest.approx(1)
    assert per_clip[0] == pytest.approx(per_clip[1], rel=1e-5)
    assert per_clip[10] == pytest.approx(5 * per_clip[1], rel=1e-5)


def test_a_head_learns_with_labels_left_open(world):
    clips, segments = world
    joint = song_means(
        genre_probabilities(train_genre_head(clips, segments, seed=1, options=QUICK), segments.embedding),
        segments.owner,
        len(clips),
    )
    np.testing.assert_allclose(joint.sum(axis=1), 1, atol=1e-5)
    open_mass = [sum(row[CLASSES.index(name)] for name in c.allowed) for c, row in zip(clips, joint, strict=True)]
    assert np.mean(open_mass) > 0.8


def test_the_same_seed_gives_the_same_head(world):
    clips, segments = world
    first, second = (train_genre_head(clips, segments, seed=3, options=QUICK) for _ in range(2))
    for one, other in zip(first.nets, second.nets, strict=True):
        for (kernel, bias), (kernel2, bias2) in zip(one, other, strict=True):
            np.testing.assert_allclose(kernel, kernel2, atol=1e-5)
            np.testing.assert_allclose(bias, bias2, atol=1e-5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_artist_is_on_both_sides(world, seed):
    clips, _ = world
    folds = fold_numbers(clips, seed)
    by_artist = {}
    for c, fold in zip(clips, folds, strict=True):
        if c.part == "allmusic":
            by_artist.setdefault(c.artist, set()).add(fold)
    assert all(len(found) == 1 for found in by_artist.values())
    assert set(folds[:80]) == {0, 1, 2, 3, 4}
    assert (folds[90:] == -1).all()


def test_cross_validation_judges_all_but_what_it_always_trains_on(world, run):
    clips, _ = world
    judged = np.isfinite(run).all(axis=1)
    assert judged[:90].all()
    assert not judged[90:].any()
    found = accuracy_figures(clips, [run])
    assert found["micro"]["value"] > 0.9
    assert found["micro"]["n"] == 60
    assert found["micro"]["low"] <= found["micro"]["value"] <= found["micro"]["high"]
    assert found["auroc_outside"]["value"] > 0.9


def test_groups_are_single_genre_allmusic_clips():
    assert group_of(clip(0, allowed=POP_ROCK)) == "pop/rock"
    assert group_of(clip(0, allowed={"blues"})) == "blues"
    assert group_of(clip(0, allowed={"classical"})) is None
    assert group_of(clip(0, allowed={"blues"}, single=False)) is None
    assert group_of(clip(0, allowed={"blues"}, part="gtzan_valid")) is None
    assert group_of(clip(0, allowed={OUTSIDE})) is None


def test_pop_rock_and_metal_decide_together():
    row = np.zeros((1, 11), np.float32)
    for name, value in (("jazz", 0.35), ("pop", 0.3), ("rock", 0.15), ("metal", 0.1)):
        row[0, CLASSES.index(name)] = value
    assert group_decisions(row) == ["jazz"]
    sharp = sharpened(row)
    assert group_decisions(sharp) == ["pop/rock"]
    assert sharp.sum() == pytest.approx(row.sum())
    assert sharp[0, CLASSES.index("jazz")] == pytest.approx(0.35)


def test_intervals_draw_artists_not_clips():
    one_artist = [clip(n, allowed={"jazz"}, artist="same") for n in range(10)]
    values = np.arange(10)
    found = artist_bootstrap(one_artist, np.ones(10, bool), lambda chosen: float(values[chosen].mean()))
    assert found == {"value": 4.5, "low": 4.5, "high": 4.5, "n": 10.0}


def test_calibration_is_what_decide_computes(world, run):
    clips, _ = world
    raw, run = run, sharpened(run)
    songs, weights = gather_songs(clips, [run]), library_weights(clips, [run])
    numbers = fit_confidence(songs, weights, ALIKE)
    assert min(numbers["top"], numbers["group"], numbers["inside"]) >= 0
    confidence = confidences(songs, numbers, ALIKE)
    vocabulary = Vocabulary("gtzan", "single", GENRES, "gtzan", "outside", {}, numbers, 0.5, POP_ROCK)
    for row in (0, 17, 55, 85):
        inside = raw[row : row + 1, :-1].sum(axis=1, keepdims=True)
        outputs = {"gtzan": raw[row : row + 1, :-1] / inside, "outside": 1 - inside}
        decision = decide(outputs, np.float32([-20]), vocabulary)
        assert decision.confidence == pytest.approx(confidence[row], abs=2e-3)


def test_confidence_is_fitted_to_how_often_it_is_right():
    """Songs whose top score overstates: right in seven of ten cases, whatever the network says."""
    rng = np.random.default_rng(0)
    top = rng.uniform(0.85, 0.99, 3000)
    conditional = np.full((3000, 10), ((1 - top) / 9)[:, None])
    conditional[:, 0] = top
    hits = rng.random(3000) < 0.7
    answers = np.zeros((3000, 10), bool)
    answers[np.arange(3000), np.where(hits, 0, 1)] = True
    songs = CalibrationSongs(conditional, np.full(3000, 0.9), answers, hits)
    numbers = fit_confidence(songs, np.ones(3000))
    confidence = confidences(songs, numbers)
    assert confidence == pytest.approx(0.7, abs=0.05)
    assert calibration_error(reliability(confidence, hits)) < 0.03
    assert calibration_error(reliability(top, hits)) > 0.2
    assert numbers["temperature"] > 1.5


def test_the_threshold_is_the_lowest_that_is_precise_enough():
    confidence = np.array([0.95, 0.9, 0.8, 0.7, 0.6])
    hits = np.array([True, True, True, False, False])
    assert choose_threshold(confidence, hits, np.ones(5), precision=0.99) == 0.71
    assert choose_threshold(confidence, hits, np.ones(5), precision=0.7) == 0.61
    assert choose_threshold(confidence, ~hits, np.ones(5), precision=0.9) == 1.0
    light = np.array([1, 1, 1, 0.01, 1])
    assert choose_threshold(confidence, hits, light, precision=0.99) == 0.61


def test_confidence_is_fitted_on_one_song_in_twenty_outside():
    clips = [clip(n, allowed={"jazz"}) for n in range(18)] + [clip(n, allowed={OUTSIDE}) for n in range(18, 38)]
    clips.append(clip(38, allowed={"jazz"}, single=False))
    clips.append(clip(39, allowed={OUTSIDE}, part="speech"))
    run = np.full((len(clips), 11), 1 / 11, np.float32)
    weights = library_weights(clips, [run, run])
    assert weights.shape == (80,)
    assert weights[18:38].sum() / weights[:38].sum() == pytest.approx(0.05)
    assert not weights[38:40].any()


def test_nested_calibration_does_not_use_its_own_part():
    """In the last part the network is always wrong; calibrated on the others it does not know."""
    n = 300
    parts = np.arange(n) % 3
    top = np.random.default_rng(0).uniform(0.5, 0.99, n)
    conditional = np.full((n, 10), ((1 - top) / 9)[:, None])
    conditional[:, 0] = top
    hits = (parts < 2) & (np.random.default_rng(1).random(n) < 0.95)
    answers = np.zeros((n, 10), bool)
    answers[np.arange(n), np.where(hits, 0, 1)] = True
    songs = CalibrationSongs(conditional, np.full(n, 0.9), answers, hits)
    confidence, threshold = nested_confidences(songs, np.ones(n), np.ones(n), parts, ALIKE)
    assert confidence[parts == 2].mean() > 0.9
    assert confidence[parts == 0].mean() < 0.6
    assert len(set(threshold[parts == 2])) == 1
    assert (threshold[parts == 0] == 1).all()


def test_area_under_the_curve_counts_ties_half():
    scores, positive = np.array([0.1, 0.4, 0.4, 0.8]), np.array([False, False, True, True])
    assert auroc(scores, positive) == pytest.approx(0.875)
    assert np.isnan(auroc(scores, np.zeros(4, bool)))
