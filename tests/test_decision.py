"""Decisions: silence, unsure songs, several genres, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genrify_tagger.decision import Decision, calibrated_confidence, decide, log_odds

LABELS = ("blues", "jazz", "rock")


@dataclass(frozen=True)
class Three:
    kind: str = "single"
    labels: tuple[str, ...] = LABELS
    output: str = "three"
    outside: str | None = "outside"
    calibration: Mapping[str, float] = field(default_factory=dict)
    min_confidence: float = 0.6
    alike: tuple[str, ...] = ()


def decided(rows, outside=None, levels=None, vocabulary=None, **options) -> Decision:
    rows = np.array(rows, np.float32)
    outside = np.zeros(len(rows)) if outside is None else np.array(outside)
    levels = np.full(len(rows), -20.0) if levels is None else np.array(levels)
    activations = {"three": rows, "outside": outside[:, None].astype(np.float32)}
    return decide(activations, levels.astype(np.float32), vocabulary or Three(), **options)


def test_the_label_most_segments_agree_on_is_given():
    decision = decided([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]])
    assert decision.genres == ("jazz",)
    assert decision.reason is None
    assert decision.confidence == pytest.approx(1.9 / 3, abs=1e-6)
    assert decision.scores == pytest.approx({"blues": 0.8 / 3, "jazz": 1.9 / 3, "rock": 0.1}, abs=1e-6)


def test_labels_alike_win_together_and_keep_their_sum():
    rows = [[0.3, 0.38, 0.32]]
    plain = decided(rows, min_confidence=0)
    assert plain.genres == ("jazz",)
    together = Three(alike=("blues", "rock"), calibration={"alike": 0.5})
    decision = decided(rows, vocabulary=together, min_confidence=0)
    assert decision.scores["blues"] + decision.scores["rock"] == pytest.approx(0.62, abs=1e-6)
    assert decision.scores["rock"] == pytest.approx(0.62 * 0.32**2 / (0.32**2 + 0.3**2), abs=1e-6)
    assert decision.genres == ("jazz",)
    sharper = decided(rows, vocabulary=replace(together, calibration={"alike": 0.1}), min_confidence=0)
    assert sharper.genres == ("rock",)
    assert sharper.scores["jazz"] == pytest.approx(0.38, abs=1e-6)


def test_an_unsure_decision_names_confidence_and_threshold():
    decision = decided([[0.3, 0.41, 0.29]])
    assert decision.genres == ()
    assert decision.reason == "confidence 0.41 below 0.60"
    assert decision.confidence == pytest.approx(0.41, abs=1e-6)


def test_numbers_that_round_alike_get_more_digits():
    assert decided([[0.3, 0.598, 0.102]]).reason == "confidence 0.598 below 0.600"


def test_the_callers_threshold_overrides_the_models():
    rows = [[0.1, 0.5, 0.4]]
    assert decided(rows).genres == ()
    assert decided(rows, min_confidence=0.5 - 1e-6).genres == ("jazz",)
    assert decided([[0, 1, 0]], min_confidence=1.0).genres == ()
    assert decided([[1 / 3, 1 / 3, 1 / 3]], min_confidence=0.0).genres == ("blues",)


def test_silence_is_unsure_and_its_scores_are_even():
    decision = decided([[0, 1, 0], [0, 1, 0]], levels=[-60.0, -120.0])
    assert decision == Decision((), 0.0, dict.fromkeys(LABELS, 1 / 3), "silence")


def test_silent_segments_do_not_count():
    rows = [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    assert decided(rows, levels=[-70, -30, -61]).genres == ("jazz",)
    assert decided(rows, levels=[-59, -30, -59]).genres == ("blues",)


def test_a_segment_counts_by_how_far_any_label_fits_it():
    decision = decided([[0.9, 0.1, 0], [0.1, 0.9, 0]], outside=[0.9, 0.1])
    assert decision.scores["jazz"] == pytest.approx(0.82, abs=1e-6)


def test_music_outside_the_vocabulary_lowers_confidence_but_not_scores():
    vocabulary = Three(calibration={"inside": 1.0, "bias": -1.0})
    row = [[0.1, 0.8, 0.1]]
    inside, outside = (decided(row, outside=[share], vocabulary=vocabulary) for share in (0.05, 0.9))
    assert inside.genres == ("jazz",)
    assert outside.genres == ()
    assert outside.confidence < 0.3 < 0.8 < inside.confidence
    assert inside.scores == pytest.approx(outside.scores)


def test_everything_outside_is_unsure_not_an_error():
    decision = decided([[0.1, 0.8, 0.1]], outside=[1.0], vocabulary=Three(calibration={"inside": 1.0}))
    assert decision.genres == ()
    assert sum(decision.scores.values()) == pytest.approx(1)


def test_several_genres_only_where_the_further_ones_carry_weight():
    assert decided([[0.62, 0.36, 0.02]], max_genres=2).genres == ("blues", "jazz")
    assert decided([[0.62, 0.36, 0.02]], max_genres=3).genres == ("blues", "jazz")
    assert decided([[0.62, 0.36, 0.02]]).genres == ("blues",)
    assert decided([[0.72, 0.2, 0.08]], max_genres=3).genres == ("blues",)
    picky = Three(calibration={"companion": 0.4})
    assert decided([[0.62, 0.36, 0.02]], max_genres=2, vocabulary=picky).genres == ("blues",)


def test_a_label_alike_with_others_gains_by_what_they_have():
    calibration = {"top": 0.5, "group": 0.5}
    alone, together = (
        decided([[0.1, 0.5, 0.4]], vocabulary=Three(calibration=calibration, alike=alike)).confidence
        for alike in ((), ("jazz", "rock"))
    )
    assert alone == pytest.approx(0.5, abs=1e-6)
    assert together == pytest.approx(0.75, abs=1e-6)  # the odds 1 and 9, half of each
    other = decided([[0.6, 0.2, 0.2]], vocabulary=Three(calibration=calibration, alike=("jazz", "rock")))
    assert other.confidence == pytest.approx(0.6, abs=1e-6)


def test_temperature_sharpens_and_flattens():
    row = [[0.2, 0.5, 0.3]]
    sharp, plain, flat = (
        decided(row, vocabulary=Three(calibration={"temperature": t})).scores["jazz"] for t in (0.5, 1.0, 2.0)
    )
    assert sharp > plain > flat > 1 / 3
    assert sharp == pytest.approx(0.25 / 0.38, abs=1e-6)


@given(
    rows=arrays(np.float32, (3, 3), elements=st.floats(0, 1, width=32)),
    outside=arrays(np.float32, (3,), elements=st.floats(0, 1, width=32)),
    levels=arrays(np.float32, (3,), elements=st.floats(-120, 0, width=32)),
    numbers=st.fixed_dictionaries(
        {"temperature": st.floats(0.3, 3), "bias": st.floats(-5, 5), "top": st.floats(0, 5), "inside": st.floats(0, 5)}
    ),
)
def test_confidence_is_a_probability_and_scores_sum_to_one(rows, outside, levels, numbers):
    decision = decided(rows + 1e-9, outside=outside, levels=levels, vocabulary=replace(Three(), calibration=numbers))
    assert 0 <= decision.confidence <= 1
    assert sum(decision.scores.values()) == pytest.approx(1)
    assert (decision.reason is None) == bool(decision.genres)
    assert (decision.genres == ()) or decision.scores[decision.genres[0]] == max(decision.scores.values())


def test_confidence_rises_with_every_kind_of_evidence():
    calibration = {"bias": -0.5, "top": 0.8, "group": 0.3, "inside": 0.4}
    by_top = [calibrated_confidence(top, 0.9, 0.7, calibration) for top in (0.5, 0.7, 0.9, 1.0)]
    by_group = [calibrated_confidence(0.4, group, 0.7, calibration) for group in (0.4, 0.6, 0.8, 1.0)]
    by_inside = [calibrated_confidence(0.8, 0.9, inside, calibration) for inside in (0.0, 0.3, 0.9, 1.0)]
    for values in (by_top, by_group, by_inside):
        assert values == sorted(values)
    assert len({*by_top, *by_group, *by_inside}) == 12


def test_log_odds_stay_finite():
    assert log_odds(0.5) == 0
    assert np.isfinite([log_odds(0.0), log_odds(1.0)]).all()
    assert log_odds(0.0) == pytest.approx(-log_odds(1.0))
