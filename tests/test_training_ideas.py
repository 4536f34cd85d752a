"""The networks of ideas that were tried learn what a head learns, on a toy world whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("keras")

from genrify_tagger.training import idea_networks, musicnn
from genrify_tagger.training.card import ideas_section
from genrify_tagger.training.data import CLASSES, OUTSIDE, Clip
from genrify_tagger.training.head import predict, train_head
from genrify_tagger.training.ideas import IDEAS
from genrify_tagger.training.listening import Heard
from tests.test_training_prune import random_weights

SEGMENTS = 10
LABELS = ("blues", "jazz", "rock", OUTSIDE)


@pytest.fixture(scope="module")
def world():
    clips = []
    for number in range(40):
        label = frozenset({LABELS[number % 4]})
        clips.append(Clip(f"{number}", "allmusic", f"{number}", label, label - {OUTSIDE}, 1.0, True))
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(len(clips)), SEGMENTS)
    embedding = rng.normal(size=(len(owner), 16)).astype(np.float32)
    for row, number in enumerate(owner):
        embedding[row, [number % 4, 8 + number % 4]] += 3
    return clips, Heard(embedding, owner)


def rightly(clips, joint) -> float:
    best = joint.argmax(axis=1)
    return float(np.mean([CLASSES[index] in clip.allowed for index, clip in zip(best, clips, strict=True)]))


@pytest.mark.parametrize("attend", [False, True], ids=["mean", "attention"])
def test_whole_clips_teach_and_are_judged(world, attend, monkeypatch):
    monkeypatch.setattr(idea_networks, "CLIP_EPOCHS", 30)
    clips, heard = world
    joint = idea_networks.clip_network(clips, heard, 0, attend=attend)(heard)
    np.testing.assert_allclose(joint.sum(axis=1), 1, atol=1e-4)
    assert rightly(clips, joint) > 0.9
    few = heard.of(np.arange(len(clips)) < 8)
    assert not idea_networks.clip_network(clips, heard, 0, attend=attend)(few)[8:].any()


def test_a_taught_head_learns_from_both(world):
    clips, heard = world
    assert rightly(clips, idea_networks.taught(clips, heard, 8, 0)(heard)) > 0.9


def test_the_baseline_never_says_outside(world):
    clips, heard = world
    inside = np.array([OUTSIDE not in clip.allowed for clip in clips])
    joint = idea_networks.balanced_regression(clips, heard.of(inside))(heard)
    assert joint[:, -1].max() < 0.01
    assert rightly([c for c, kept in zip(clips, inside, strict=True) if kept], joint[inside]) > 0.9


def test_a_pulse_is_at_its_place_in_the_modulation_spectrum():
    mel = np.zeros((1, 187, 96), np.float32)
    seconds = np.arange(187) * 256 / 16000
    mel[0, :, 12:18] = 1 + np.cos(2 * np.pi * 2 * seconds)[:, np.newaxis]  # twice a second, in the third of 16 bands
    found = idea_networks.modulation(mel).reshape(idea_networks.MODULATION_BINS, idea_networks.MODULATION_BANDS)
    place = np.unravel_index(found.argmax(), found.shape)
    assert place[1] == 2
    assert (place[0] + 1) / (187 * 256 / 16000) == pytest.approx(2, abs=0.2)


def test_tuning_begins_with_the_published_network_and_the_trained_head(monkeypatch):
    monkeypatch.setattr(idea_networks, "TUNED_RATE", 0.0)
    monkeypatch.setattr(idea_networks, "TUNED_EPOCHS", 1)
    monkeypatch.setattr(idea_networks, "TUNED_BATCH", 16)
    import keras

    from genrify_tagger.training import prune

    weights = random_weights()
    mel = (np.random.default_rng(1).random((64, 187, 96)) * 3).astype(np.float32)
    given = keras.Input((187, 96))
    channels = keras.Model(given, prune.channels(given, weights)).predict(mel, verbose=0)
    hidden = musicnn.build(weights).predict(mel, verbose=0)["embedding"]
    both = np.concatenate([hidden, np.random.default_rng(2).normal(size=(64, 256))], axis=1).astype(np.float32)
    label = [frozenset({LABELS[number % 4]}) for number in range(64)]
    clips = [Clip(f"{number}", "allmusic", f"{number}", one, one, 1.0, True) for number, one in enumerate(label)]
    rows = np.arange(64)
    material = idea_networks.Material(channels.astype(np.float16), both, rows, rows)
    tuned = idea_networks.Tuned(clips, material, weights, 0, averaged=True)
    expected = predict(train_head(clips, Heard(both, rows), seed=0), both)
    np.testing.assert_allclose(tuned.predict(material), expected, atol=0.02)


def test_every_idea_has_a_row():
    figure = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10}
    names = ("micro", "macro", "gtzan_valid", "auroc_outside", "written", "wrong", "precision")
    found = {name: {"text": idea.text, **dict.fromkeys(names, figure)} for name, idea in IDEAS.items()}
    shares = {"written": 0.7, "wrong": 0.05, "precision": 0.93}
    temperatures = {"0.5": {"micro": 0.1, "macro": 0.2, "gtzan_valid": 0.3}}
    thresholds = {"0.7": {"written": 0.8, "wrong": 0.1, "outside": 0.25, "no music": 0.05}}
    tables = {
        "thresholds by genre": shares,
        "temperature of pop, rock and metal": temperatures,
        "thresholds": thresholds,
    }
    text = ideas_section({**found, **tables})
    assert "| 0.7 | 0.800 | 0.100 | 0.250 | 0.050 |" in text
    assert [idea.text in text for idea in IDEAS.values()] == [True] * len(IDEAS)
    assert "| 0.700 | 0.050 | 0.930 |" in text and "| 0.5 | 0.100 | 0.200 | 0.300 |" in text
