"""The models of the reference study, under leaky and honest protocols."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from genrify_tagger.errors import ConfigError
from genrify_tagger.training import reference_study_models
from genrify_tagger.training.datasets import Clip
from genrify_tagger.training.evaluation import evaluate_predictions
from genrify_tagger.training.feature_table import FeatureTable
from genrify_tagger.training.reference_study_features import FEATURES
from genrify_tagger.training.reference_study_models import (
    SegmentRows,
    cross_validate_model,
    make_protocol,
    rows_of_table,
    unlearned,
)
from tests.workbench import need_library

TRACKS_OF_LABEL, SEGMENTS = 12, 5


def rows(*, signal: float, seed: int = 0) -> SegmentRows:
    """Make up segments whose features are those of their recording, and a little of their label."""
    rng = np.random.default_rng(seed)
    clips, table = [], []
    for label in ("jazz", "rock", "blues"):
        of_label = signal * rng.standard_normal(57)
        for number in range(TRACKS_OF_LABEL):
            of_track = of_label + rng.standard_normal(57)
            name = f"{label}/{number}"
            clips += [Clip(name, name, (label,), f"artist {label} {number // 2}")] * SEGMENTS
            table += [of_track + 0.1 * rng.standard_normal(57) for _ in range(SEGMENTS)]
    values = np.array(table)
    mfcc = np.repeat(values[:, None, :13], 130, axis=1).astype(np.float32)
    return SegmentRows("made up", tuple(clips), values, mfcc)


def accuracy(name, material, protocol, lists=None):
    split = make_protocol(protocol, material, lists=lists, seed=0)
    return evaluate_predictions(cross_validate_model(name, material, split)).segment_accuracy.value


def test_the_leaky_protocol_rewards_knowing_the_recording():
    """Features that say nothing of the genre: honest splits give chance, the leaky one near certainty."""
    material = rows(signal=0.0)
    assert accuracy("reference-logistic", material, "segment") > 0.9
    assert accuracy("reference-logistic", material, "track") < 0.6
    assert accuracy("reference-logistic", material, "artist") < 0.6


def test_every_track_is_predicted_once_by_a_model_not_trained_on_it():
    material = rows(signal=2.0)
    split = make_protocol("artist", material, lists=None, seed=0)
    predictions = cross_validate_model("reference-logistic", material, split)
    assert len(predictions.tracks) == 3 * TRACKS_OF_LABEL
    assert all(track.segments.shape == (SEGMENTS, 3) for track in predictions.tracks)
    assert predictions.labels == ("blues", "jazz", "rock")
    assert evaluate_predictions(predictions).track_accuracy.value > 0.8


def test_lists_choose_the_tested_tracks():
    material = rows(signal=2.0)
    names = sorted({clip.name for clip in material.clips})
    split = make_protocol("lists", material, lists=(names[::2], names[1::4]), seed=0)
    judged = {track.clip.name for track in cross_validate_model("reference-logistic", material, split).tracks}
    assert judged == set(names[1::4]) and unlearned(material, split) == []
    without_rock = [name for name in names[::2] if not name.startswith("rock")]
    assert unlearned(material, make_protocol("lists", material, lists=(without_rock, names[1::4]), seed=0)) == ["rock"]
    with pytest.raises(ConfigError, match="no lists"):
        make_protocol("lists", material, lists=None, seed=0)


def test_a_feature_table_knows_tracks_but_no_artists():
    files = tuple(f"jazz.{number:05d}.{part}.wav" for number in range(6) for part in range(2))
    table = FeatureTable(files, np.full(12, 66149), np.zeros((12, 57)), ("jazz",) * 12)
    material = rows_of_table("table", table)
    assert [clip.name for clip in material.clips[:3]] == ["jazz/jazz.00000", "jazz/jazz.00000", "jazz/jazz.00001"]
    whole = FeatureTable(("jazz.00000.wav",), np.array([661794]), np.zeros((1, 57)), ("jazz",))
    assert rows_of_table("table", whole).clips[0].name == "jazz/jazz.00000"
    plain = FeatureTable(("000002.0.mp3", "000002.1.mp3"), np.full(2, 66149), np.zeros((2, 57)), ("jazz",) * 2)
    assert [clip.name for clip in rows_of_table("table", plain).clips] == ["jazz/000002"] * 2
    sliver = FeatureTable(("jazz.00012.wav",), np.array([50000]), np.zeros((1, 57)), ("jazz",))
    assert rows_of_table("table", sliver).clips[0].name == "jazz/jazz.00012"
    with pytest.raises(ConfigError, match="artists"):
        make_protocol("artist", material, lists=None, seed=0)
    with pytest.raises(ConfigError, match="MFCC frames"):
        cross_validate_model("reference-cnn", material, make_protocol("track", material, lists=None, seed=0))


def test_too_little_music_to_learn_from():
    one = SegmentRows(
        "one", tuple(Clip(f"jazz/{n}", f"jazz/{n}", ("jazz",), "x") for n in range(9)), np.zeros((9, 57)), None
    )
    with pytest.raises(ConfigError, match="only one label"):
        cross_validate_model("reference-logistic", one, make_protocol("segment", one, lists=None, seed=0))
    with pytest.raises(ConfigError, match="no label has the 5 clips or segments"):
        make_protocol("segment", replace(one, clips=one.clips[:4]), lists=None, seed=0)


@pytest.mark.parametrize("name", ["reference-dense", "reference-cnn"])
def test_the_networks_learn(name, monkeypatch):
    need_library("tensorflow")
    monkeypatch.setattr(reference_study_models, "DENSE_EPOCHS", 8)
    monkeypatch.setattr(reference_study_models, "CNN_EPOCHS", 20)
    monkeypatch.setattr(reference_study_models, "BATCH", 16)
    material = rows(signal=2.0)
    names = sorted({clip.name for clip in material.clips})
    lists = (names[::2], names[1::2])
    first = accuracy(name, material, "lists", lists)
    assert first > 0.5  # chance is a third
    if name == "reference-dense":  # once is enough to see that everything left to chance is seeded
        assert accuracy(name, material, "lists", lists) == first


def test_the_dense_network_is_that_of_the_study():
    need_library("tensorflow")
    captured = []
    x = np.zeros((8, len(FEATURES)), np.float32)

    def keep(network, *_):
        captured.append(network)
        return lambda rows: rows

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference_study_models, "_fit_keras", keep)
        reference_study_models.fit_dense(x, np.zeros(8, int), 10, 0)
    (network,) = captured
    units = [layer.units for layer in network.layers if hasattr(layer, "units")]
    assert units == [512, 256, 128, 128, 10]
    assert [layer.rate for layer in network.layers if hasattr(layer, "rate")] == [0.2] * 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be chosen on this system")
def test_the_figures_do_not_depend_on_the_number_of_cores():
    need_library("tensorflow")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is only one core")
    fitting = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
import numpy as np
from genrify_tagger.training import reference_study_models as models
models.CNN_EPOCHS = 2
rng = np.random.default_rng(0)
x, y = rng.standard_normal((400, 130, 13)).astype(np.float32), rng.integers(0, 3, 400)
print(models.fit_cnn(x, y, 3, 0)(x[:5]).tobytes().hex())
"""
    told = [
        subprocess.run([sys.executable, "-c", fitting, cores], check=True, capture_output=True, text=True).stdout
        for cores in ("1", "2")
    ]
    assert told[0] == told[1] and len(told[0]) > 100
