"""The figures of an evaluation, the same for every model."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from genrify_tagger.training import metrics
from genrify_tagger.training.datasets import Clip, open_dataset
from genrify_tagger.training.evaluation import (
    Predictions,
    TrackPrediction,
    answers_of,
    evaluate_predictions,
    report_json,
)
from genrify_tagger.training.inference import open_model, predict_datasets, trained_on
from genrify_tagger.training.report_text import markdown_table, report_lines
from tests import media

LABELS = ("jazz", "metal", "pop", "rock")


def track(name, labels, scores, confidence=None, segments=None):
    scores = np.array(scores, float)
    segments = np.array(scores[np.newaxis] if segments is None else segments, np.float32)
    found = Clip(f"/music/{name}.opus", name, labels, name)
    return TrackPrediction(found, segments, scores, float(scores.max()) if confidence is None else confidence)


def judged(*tracks, protocol="", several=False, trained_on=None):
    given = Predictions("a model", "some music", protocol, LABELS, tracks, 0.6, trained_on=trained_on)
    return evaluate_predictions(given, several=several)


JAZZ, METAL, POP, ROCK = np.eye(4)


def test_an_interval_of_all_right_and_of_a_coin():
    assert str(metrics.track_accuracy(np.ones(50, bool))) == "100.0% [100.0, 100.0]"
    coin = metrics.track_accuracy(np.arange(400) % 2 == 0)
    assert coin.value == 0.5
    # 1.96 standard errors of a share of one half among 400
    assert coin.high - coin.low == pytest.approx(2 * 0.049, abs=0.01)


def test_segments_of_one_track_are_not_independent():
    """Twenty segments of a track say as much as one if they agree: the interval must not shrink."""
    whole = metrics.segment_accuracy([20] * 20 + [0] * 20, [20] * 40)
    assert whole.value == 0.5
    assert whole.high - whole.low > 0.25


def test_figures_without_tracks_are_nan():
    assert np.isnan(metrics.track_accuracy(np.zeros(0, bool)).value)
    assert np.isnan(judged().track_accuracy.value)
    assert json.loads(report_json(judged()))["track_accuracy"]["value"] is None


def test_precision_recall_and_f1():
    matrix = metrics.confusion_matrix(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), 3)
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    first, second, third = metrics.genre_figures(matrix)
    assert (first.precision, first.recall, first.n) == (1.0, pytest.approx(2 / 3), 3)
    assert (second.precision, second.recall, second.f1) == (0.5, 1.0, pytest.approx(2 / 3))
    assert np.isnan(third.recall) and third.n == 0


def test_calibration_error():
    confidence = np.array([0.95] * 10 + [0.55] * 10)
    hits = np.array([True] * 10 + [True, False] * 5)
    bins = metrics.reliability(confidence, hits)
    assert [(one.n, one.accuracy) for one in bins] == [(10, 0.5), (10, 1.0)]
    assert metrics.calibration_error(bins) == pytest.approx(0.05)
    assert metrics.reliability(np.array([1.0]), np.array([True]))[0].high == 1.0


def test_coverage_against_precision():
    confidence, hits = np.array([0.9, 0.8, 0.4, 0.2]), np.array([True, False, True, False])
    point = metrics.operating_point(confidence, hits, 0.6)
    assert (point.coverage, point.precision, point.wrong) == (0.5, 0.5, 0.25)
    curve = metrics.coverage_curve(confidence, hits)
    assert curve[0].coverage == 1.0
    assert all(one.coverage >= other.coverage for one, other in itertools.pairwise(curve))


def test_any_genre_a_label_leaves_open_is_right():
    report = judged(track("a", ("pop/rock",), METAL), track("b", ("pop/rock",), JAZZ), track("c", ("jazz",), JAZZ))
    assert report.track_accuracy.value == pytest.approx(2 / 3)
    # Only the jazz track says exactly one of the labels; as a group, all three do.
    assert (report.n_labelled, report.grouped.n) == (1, 3)
    assert report.grouped.labels == ("jazz", "pop/rock")
    assert report.grouped.confusion == [[1, 0], [1, 1]]
    assert report.grouped.macro.value == 0.75


def test_pop_rock_and_metal_count_together():
    """The best single label is jazz, but pop, rock and metal together are likelier."""
    report = judged(track("a", ("pop/rock",), [0.4, 0.2, 0.2, 0.2]))
    assert report.track_accuracy.value == 0.0
    assert report.grouped.micro.value == 1.0


def test_several_labels_are_evaluated_only_on_request():
    tracks = [track("a", ("jazz", "latin"), JAZZ), track("b", ("rock",), ROCK)]
    assert (judged(*tracks).n_tracks, judged(*tracks).n_ambiguous) == (1, 1)
    assert (judged(*tracks, several=True).n_tracks, judged(*tracks, several=True).n_ambiguous) == (2, 0)


def test_music_outside_the_labels_is_counted():
    tracks = [track("a", ("latin",), JAZZ, 0.9), track("b", ("latin", "folk"), JAZZ, 0.1), track("c", ("jazz",), JAZZ)]
    report = judged(*tracks)
    assert (report.n_tracks, report.outside.n, report.outside.written) == (1, 2, 0.5)


def test_labels_of_the_model_come_before_what_they_might_mean():
    clip = Clip("a", "a", ("pop/rock",), "a")
    assert answers_of(clip, LABELS) == {"metal", "pop", "rock"}
    assert answers_of(clip, ("jazz", "pop/rock")) == {"pop/rock"}


def test_mistakes_are_listed_the_most_confident_first():
    tracks = [
        track("a", ("jazz",), METAL, 0.5),
        track("b", ("rock",), POP, 0.9),
        track("c", ("rock",), ROCK, 1.0),
    ]
    report = judged(*tracks)
    assert [(one.file, one.said) for one in report.worst] == [("b", "pop"), ("a", "metal")]
    assert any("0.90  pop" in line and "b (rock)" in line for line in report_lines(report))


def test_training_clips_in_the_test_set_are_reported():
    tracks = [track("a", ("jazz",), JAZZ), track("b", ("rock",), ROCK)]
    unknown = judged(*tracks)
    assert unknown.n_trained_on is None and "| not known |" in markdown_table([unknown])
    assert any("trained on is not known" in line for line in report_lines(unknown))
    assert not any("trained on" in line for line in report_lines(judged(*tracks, protocol="artist")))
    report = judged(*tracks, trained_on=frozenset({"a"}))
    assert report.n_trained_on == 1
    assert any("1 of these tracks were in the model's training" in line for line in report_lines(report))
    assert "*1 trained on*" in markdown_table([report])
    assert "none trained on" in markdown_table([judged(*tracks, trained_on=frozenset({"c"}))])


def test_the_shipped_model_says_what_it_was_trained_on():
    met = trained_on(open_model(None, None)[0])
    assert met is not None and {"blues/blues.00029", "audio/MT0000004637"} <= met
    assert "synthetic" not in {name.partition("/")[0] for name in met}


def test_leaky_is_written_wherever_a_leaky_number_is():
    leaky = judged(track("a", ("jazz",), JAZZ), protocol="segment (leaky)")
    honest = judged(track("a", ("jazz",), JAZZ), protocol="artist")
    header, _, first, second = markdown_table([leaky, honest]).splitlines()
    assert header.count("|") == first.count("|") == second.count("|")
    assert first.count("*leaky*") == 2 and "leaky" not in second
    assert all("leaky" in line for line in report_lines(leaky) if "right " in line and "%" in line)


def test_json_is_json(tmp_path):
    report = judged(track("a", ("jazz",), JAZZ), track("b", ("rock",), POP))
    content = json.loads(report_json(report))
    assert content["schema"] == 1 and content["track_accuracy"]["value"] == 0.5
    assert content["genres"]["metal"]["recall"] is None
    assert content["confusion"][LABELS.index("rock")][LABELS.index("pop")] == 1


def test_the_shipped_model_predicts_a_dataset(tmp_path):
    """Two real clips and a broken file, through the same decoder, network and decision as a scan."""
    media.make("opus", tmp_path / "jazz", "vibes")
    media.make("mp3-v2.3", tmp_path / "classical", "dance", source=media.CLASSICAL)
    (tmp_path / "jazz/broken.mp3").write_bytes(b"no audio")
    predictions = predict_datasets([open_dataset(str(tmp_path))], *open_model(None, "gtzan"), jobs=1, progress=False)
    report = evaluate_predictions(predictions)
    assert (report.n_tracks, len(report.problems)) == (2, 1)
    assert report.track_accuracy.value == 1.0
    assert report.n_segments == 5 + 4
    assert all(track.scores.sum() == pytest.approx(1, abs=1e-5) for track in predictions.tracks)
