"""Training: augmentation, small networks that learn tones, resumed runs, and the exported model in the tagger."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from genrify_tagger.training import augmentation
from tests.workbench import KERAS_WARNING, need_installed, tones

need_installed("tensorflow", "matplotlib")

import keras  # noqa: E402 - skipped above if it is missing

from genrify_tagger.classifier import Classifier  # noqa: E402
from genrify_tagger.errors import ConfigError, ModelError  # noqa: E402
from genrify_tagger.spectrogram import log_mel  # noqa: E402
from genrify_tagger.training import export_user_model, trainable_networks, training_loop, user_model  # noqa: E402
from genrify_tagger.training.datasets import Clip, open_dataset  # noqa: E402
from genrify_tagger.training.decoded_cache import DecodedClip, decode_clips  # noqa: E402
from genrify_tagger.training.evaluation import evaluate_predictions  # noqa: E402
from genrify_tagger.training.inference import open_model, predict_datasets  # noqa: E402
from genrify_tagger.training.target_classes import choose_classes  # noqa: E402
from genrify_tagger.training.training_batches import EpochBatches, draw_clips  # noqa: E402
from genrify_tagger.training.training_loop import TrainingOptions  # noqa: E402
from genrify_tagger.training.user_model import TrainingPlan, split_validation, train_user_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings(KERAS_WARNING)

AUGMENTATION = augmentation.Augmentation(codec=0.05)
QUICK = TrainingOptions(epochs=3, steps=4, batch=8, learning_rate=3e-3, augmentation=AUGMENTATION)


def noise(seconds=3.0, seed=0):
    return 0.3 * np.random.default_rng(seed).standard_normal(int(seconds * 16000)).astype(np.float32)


def band_power(y, low, high):
    power = np.abs(np.fft.rfft(y)) ** 2
    frequencies = np.fft.rfftfreq(len(y), 1 / 16000)
    return power[(frequencies >= low) & (frequencies < high)].sum()


@pytest.mark.parametrize("codec", list(augmentation.CODECS))
def test_a_codec_changes_the_sound_but_not_what_it_is(codec):
    time = np.arange(48000) / 16000
    y = (0.4 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    recoded = augmentation.recode(y, codec, 24)
    assert recoded.shape == y.shape and recoded.dtype == np.float32
    assert np.abs(recoded - y).max() > 1e-4
    middle = slice(8000, 40000)
    assert recoded[middle].std() == pytest.approx(y[middle].std(), rel=0.1)
    assert band_power(recoded[middle], 400, 480) > 0.9 * band_power(recoded[middle], 0, 8000)


def test_a_band_limit_and_an_equaliser():
    limited = augmentation.limit_band(noise(), 4000.0)
    assert band_power(limited, 4200, 8000) < 1e-4 * band_power(limited, 0, 3800)
    louder = augmentation.equalise(noise(), np.array([6.0, 6.0, 6.0, 6.0]))
    assert louder.std() / noise().std() == pytest.approx(10 ** (6 / 20), rel=1e-3)


def test_nothing_is_changed_unless_asked():
    rng = np.random.default_rng(0)
    assert (augmentation.augment_segment(noise(), augmentation.NO_AUGMENTATION, rng) == noise()).all()
    everything = augmentation.Augmentation(gain=1, equaliser=1, bandwidth=1, codec=1)
    assert np.abs(augmentation.augment_segment(noise(), everything, rng) - noise()).max() > 0.01


def test_masks_and_mixtures():
    rng = np.random.default_rng(0)
    mel = np.ones((6, 187, 96), np.float32)
    masked = augmentation.mask_spectrograms(mel, 2, rng)
    assert 0 < (masked == 0).mean() < 0.7 and (mel == 1).all()
    targets = np.eye(6, dtype=np.float32)
    mixed, both = augmentation.mix_spectrograms(np.arange(6, dtype=np.float32)[:, None, None] * mel, targets, 0.5, rng)
    first, second, share = both[:, :6], both[:, 6:12], both[:, 12]
    expected = share * first.argmax(axis=1) + (1 - share) * second.argmax(axis=1)
    assert mixed[:, 0, 0] == pytest.approx(expected, abs=1e-5)
    assert (share >= 0.5).all() and (augmentation.mix_spectrograms(mel, targets, 0, rng)[1][:, 12] == 1).all()


def test_labels_and_artists_are_drawn_evenly():
    names = ["jazz"] * 90 + ["rock"] * 10
    groups = ["miles"] * 80 + [f"other {n}" for n in range(10)] + [f"band {n}" for n in range(10)]
    clips = [Clip("x", str(n), (label,), group) for n, (label, group) in enumerate(zip(names, groups, strict=True))]
    targets = np.array([[label == "jazz", label == "rock"] for label in names], np.float32)
    drawn = draw_clips([DecodedClip(clip, Path("x")) for clip in clips], targets, 2200, np.random.default_rng(0))
    assert np.mean([names[at] == "rock" for at in drawn]) == 0.5
    of_miles = np.mean([groups[at] == "miles" for at in drawn if names[at] == "jazz"])
    assert of_miles == pytest.approx(1 / 11, abs=0.03)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def dataset(folder):
    return open_dataset(str(tones(folder / "tones", clips=6)))


@pytest.fixture(scope="module")
def plan(folder) -> TrainingPlan:
    return TrainingPlan(scratch=True, vocabulary="own", cache=folder / "cache", jobs=1, progress=False)


@pytest.fixture(scope="module")
def trained(folder, dataset, plan):
    lines: list[str] = []
    return train_user_model([dataset], folder / "model", plan, QUICK, tell=lines.append), lines


def test_a_network_from_scratch_learns_to_tell_tones(trained):
    model, lines = trained
    assert model.history[-1].loss < model.history[0].loss
    assert len([line for line in lines if line.startswith("epoch")]) == QUICK.epochs
    assert model.agreement < export_user_model.TOLERANCE


def test_everything_is_written(trained):
    model, _ = trained
    names = {path.name for path in model.folder.iterdir()}
    assert {"model.keras", "genrify.tflite", "genrify.json", "MODEL_CARD.md", "history.png"} <= names
    card = (model.folder / "MODEL_CARD.md").read_text()
    assert "from scratch" in card and "classical, metal, reggae" in card
    assert len((model.folder / "trained_on.txt").read_text().split()) == 18


def test_what_is_written_runs_in_the_tagger(trained, dataset):
    model, _ = trained
    classifier = Classifier(str(model.folder))
    mel = log_mel(noise()[np.newaxis])
    outputs = classifier.predict(mel)
    assert outputs["own"].shape == (1, 3) and outputs["own"].sum() == pytest.approx(1, abs=1e-4)
    again = keras.models.load_model(model.folder / "model.keras").predict(mel, verbose=0)
    assert np.abs(again - outputs["own"]).max() < export_user_model.TOLERANCE
    vocabulary = classifier.sidecar.vocabularies["own"]
    assert vocabulary.names == {"classical": "Classical", "metal": "Metal", "reggae": "Reggae"}


def test_it_can_be_evaluated_and_reports_training_clips(trained, dataset):
    model, _ = trained
    predictions = predict_datasets([dataset], *open_model(str(model.folder), "own"), jobs=1, progress=False)
    report = evaluate_predictions(predictions)
    assert (report.n_tracks, report.n_trained_on) == (18, 18)


def test_the_card_counts_only_decoded_clips(folder, plan):
    music = tones(folder / "broken", clips=6)
    (music / "metal/metal.00054.wav").write_bytes(b"RIFF")
    model = train_user_model([open_dataset(str(music))], folder / "of-broken", plan, QUICK, tell=lambda _: None)
    assert [Path(problem.path).name for problem in model.problems] == ["metal.00054.wav"]
    assert "| metal | 6 |" in (model.folder / "MODEL_CARD.md").read_text()


@pytest.fixture(scope="module")
def material(dataset, plan):
    entries, _ = decode_clips(dataset.clips, plan.cache, jobs=1, progress=False)
    return split_validation(entries, choose_classes("own", dataset.clips), None, seed=0)


def fit(material, folder, options, tell=lambda _: None):
    return training_loop.run_training(lambda: trainable_networks.from_scratch(3), *material, options, folder, tell=tell)


def test_a_resumed_run_equals_an_uninterrupted_one(material, folder):
    options = replace(QUICK, epochs=3, steps=2)
    _, through = fit(material, folder / "through", options)
    fit(material, folder / "stopped", replace(options, epochs=1))
    model, resumed = fit(material, folder / "stopped", options)
    assert [epoch.loss for epoch in resumed] == pytest.approx([epoch.loss for epoch in through], rel=1e-3)
    assert model.name == "from_scratch"


def test_a_different_run_is_not_resumed(trained, dataset, plan):
    model, _ = trained
    with pytest.raises(ConfigError, match="another learning_rate"):
        train_user_model([dataset], model.folder, plan, replace(QUICK, learning_rate=0.1), tell=lambda _: None)


def test_a_run_with_another_network_or_other_music_is_not_resumed(trained, dataset, plan):
    model, _ = trained
    with pytest.raises(ConfigError, match="another labels"):
        train_user_model([dataset], model.folder, replace(plan, vocabulary="gtzan"), QUICK, tell=lambda _: None)
    turned = dict(zip(("classical", "metal", "reggae"), ("metal", "reggae", "classical"), strict=True))
    clips = tuple(replace(clip, labels=(turned[clip.labels[0]],)) for clip in dataset.clips)
    with pytest.raises(ConfigError, match="another training music, validation music"):
        train_user_model([replace(dataset, clips=clips)], model.folder, plan, QUICK, tell=lambda _: None)


def test_training_stops_when_nothing_gets_better(material, folder):
    lines: list[str] = []
    hopeless = replace(
        QUICK, epochs=6, steps=1, learning_rate=0.0, patience=1, augmentation=augmentation.NO_AUGMENTATION
    )
    _, history = fit(material, folder / "hopeless", hopeless, lines.append)
    assert len(history) < 6
    assert any("stopped" in line for line in lines)


def test_no_artist_is_on_both_sides(material):
    training, validation = material
    groups = [{entry.clip.group for entry in part.entries} for part in (training, validation)]
    assert not groups[0] & groups[1] and len(groups[0] | groups[1]) == 18


def test_a_file_of_another_model_is_detected(trained, folder):
    model, _ = trained
    other = trainable_networks.from_scratch(3)
    with pytest.raises(ModelError, match="differ by"):
        export_user_model.check_runtime(other, model.target, model.folder, log_mel(noise()[np.newaxis]))


def test_too_little_music(folder, dataset, plan):
    few = dataset.only([clip.name for clip in dataset.clips[:2]])
    with pytest.raises(ConfigError, match="only one label"):
        train_user_model([few], folder / "few", plan, QUICK, tell=lambda _: None)
    scarce = dataset.only([clip.name for number, clip in enumerate(dataset.clips) if number % 6 < 4])
    with pytest.raises(ConfigError, match="no label has the 5 clips"):
        train_user_model([scarce], folder / "few", plan, QUICK, tell=lambda _: None)
    with pytest.raises(ConfigError, match="validation set"):
        train_user_model([dataset], folder / "few", replace(plan, validation=["nobody"]), QUICK, tell=lambda _: None)


def random_weights():
    """Weights in the shapes of MSD_musicnn, most front-end filters dead as they are in the published ones."""
    rng = np.random.default_rng(0)
    shapes = {0: (7, 67, 1, 204), 1: (7, 38, 1, 204), 2: (128, 1, 1, 51), 3: (64, 1, 1, 51), 4: (32, 1, 1, 51)}
    shapes |= {5: (7, 561, 1, 64), 6: (7, 64, 1, 64), 7: (7, 64, 1, 64)}
    weights = {}
    for number, shape in shapes.items():
        name = f"conv2d_{number}" if number else "conv2d"
        kernel = rng.standard_normal(shape) * np.sqrt(1 / np.prod(shape[:3]))
        if number < 5:
            kernel[..., np.arange(shape[-1]) % 12 > 0] *= 1e-7
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = kernel, 0.1 * rng.standard_normal(shape[-1])
    widths = [1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200]
    for number, width in enumerate(widths):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        weights[f"{name}/gamma"] = rng.uniform(-1, 1, width)
        weights[f"{name}/beta"], weights[f"{name}/moving_mean"] = 0.1 * rng.standard_normal((2, width))
        weights[f"{name}/moving_variance"] = rng.uniform(0.5, 2, width)
    weights["dense/kernel"] = rng.standard_normal((1506, 200)) / 40
    weights["dense/bias"] = 0.1 * rng.standard_normal(200)
    weights["dense_1/kernel"] = rng.standard_normal((200, 50)) / 14
    weights["dense_1/bias"] = 0.1 * rng.standard_normal(50)
    return {name: np.asarray(values, np.float32) for name, values in weights.items()}


def test_the_trainable_musicnn_equals_the_published_one():
    """And goes back into the published form unchanged."""
    from published_networks import build_published_musicnn

    weights = random_weights()
    model = trainable_networks.from_musicnn(weights, 11, "mid")
    mel = log_mel(noise(6.0).reshape(2, 48000))
    ours = keras.Model(model.input, model.get_layer("trunk").output).predict(mel, verbose=0)
    expected = build_published_musicnn(weights).predict(mel, verbose=0)["embedding"]
    assert ours == pytest.approx(expected, abs=2e-4)
    back = trainable_networks.published_weights(model.get_layer("trunk"), weights)
    assert all(np.abs(back[name] - values).max() < 1e-5 for name, values in weights.items())


def test_what_is_tuned_is_what_was_asked_for():
    weights = random_weights()
    parts = {}
    for tune in trainable_networks.TUNES:
        layer = trainable_networks.musicnn_layer(weights, tune)
        parts[tune] = {variable.name.split("_")[0] for variable in layer.trainable_variables}
    assert parts == {"head": set(), "mid": {"mid", "dense"}, "all": {"front", "mid", "dense"}}


def test_training_from_musicnn(folder, dataset, plan, monkeypatch):
    """Tuned, packed into the fast form, and still the same network within the tolerance."""
    tags = [f"tag {n}" for n in range(50)]
    monkeypatch.setattr(user_model, "load_published_musicnn", lambda *_: (random_weights(), tags))
    carried_on = replace(plan, scratch=False, vocabulary="gtzan", tune="mid")
    quick = replace(QUICK, epochs=1, steps=2, batch=4)
    model = train_user_model([dataset], folder / "carried-on", carried_on, quick, tell=lambda _: None)
    assert model.agreement < export_user_model.TOLERANCE
    sidecar = json.loads((model.folder / "genrify.json").read_text())
    assert len(sidecar["tags"]) == 50 and sidecar["embedding_size"] == 200
    outputs = Classifier(str(model.folder)).predict(log_mel(noise()[np.newaxis]))
    assert outputs["gtzan"].shape == (1, 10) and outputs["tags"].shape == (1, 50)


def test_weights_that_cannot_be_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ModelError, match="cannot be downloaded"):
        user_model.load_published_musicnn(TrainingPlan(cache=tmp_path / "cache"), lambda _: None)


def test_batches_follow_from_the_seed(folder, dataset, plan):
    entries, _ = decode_clips(dataset.clips, plan.cache, jobs=1, progress=False)
    targets = np.ones((len(entries), 3), np.float32)

    def first(epoch):
        return EpochBatches(entries, targets, AUGMENTATION, batch=4, steps=2, seed=7, epoch=epoch).batch(0)

    (mel, aim), (again, _), (other, _) = first(0), first(0), first(1)
    assert mel.shape == (4, 187, 96) and aim.shape == (4, 7)
    assert (mel == again).all() and (mel != other).any()
