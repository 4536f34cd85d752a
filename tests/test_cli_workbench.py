"""The workbench's commands, run as a user runs them."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from genrify_tagger.errors import ConfigError
from genrify_tagger.extras import install_command
from genrify_tagger.training.dependencies import missing_libraries, require_libraries
from genrify_tagger.training.feature_table import COLUMNS
from tests import media
from tests.beets_library import Beets, need_beets
from tests.page import serving
from tests.program import Program
from tests.watching import genre, watching
from tests.workbench import need_library, sound, tones, write_wav


def test_a_missing_library_is_one_line_that_says_what_to_install():
    with pytest.raises(ConfigError) as caught:
        require_libraries("json", "no_such_library")
    assert str(caught.value) == f"this needs no_such_library; {install_command('train')}"
    assert "\n" not in str(caught.value) and missing_libraries(["json"]) == []


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    root = tones(tmp_path_factory.mktemp("music") / "gtzan", labels=("classical", "metal"), clips=5, seconds=3.2)
    (root / "metal/broken.wav").write_bytes(b"RIFF, but not really")
    return root


def test_features(command_line, music, tmp_path):
    need_library("librosa")
    target = tmp_path / "features_3_sec.csv"
    done = command_line("features", music, "-o", target, "--jobs", "1", status=1)
    with target.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10 and {row["label"] for row in rows} == {"classical", "metal"}
    assert "broken.wav" in done.stderr and "10 rows from 10 clips" in done.stderr


def test_invalid_options_are_reported_before_any_work(command_line, music, tmp_path):
    need_library("librosa")
    (tmp_path / "list.txt").write_text("blues/blues.00001.wav\n")
    (tmp_path / "sound.csv").write_bytes(b"OggS\x9b\x00")
    (tmp_path / "cut.csv").write_text(",".join(COLUMNS) + "\njazz.00000.wav,661794,0.3\n")
    told = {
        ("--compare", tmp_path / "sound.csv"): "it is not CSV in UTF-8",
        ("--compare", tmp_path / "cut.csv"): "cut.csv: damaged",
        ("--only", tmp_path / "list.txt"): "lists none of the clips; the first clip is named classical/",
        ("-o", tmp_path / "nowhere/x.csv"): "no such folder",
        ("-j", "-1"): "--jobs",
    }
    for arguments, expected in told.items():
        assert expected in command_line("features", music, *arguments, status=2).stderr


def test_plot(command_line, tmp_path):
    need_library("librosa", "matplotlib")
    done = command_line("plot", media.JAZZ, "--panels", "waveform,timeline", "-o", tmp_path / "song.svg")
    assert done.stdout.strip() == str(tmp_path / "song.svg")
    assert "Jazz" in (tmp_path / "song.svg").read_text() or (tmp_path / "song.svg").stat().st_size > 10_000
    assert "no such panel: 'colour'" in command_line("plot", media.JAZZ, "--panels", "colour", status=2).stderr
    assert "cannot" in command_line("plot", tmp_path / "nothing.mp3", status=1).stderr


def test_evaluate_the_shipped_model(command_line, tmp_path):
    need_library("librosa", "matplotlib", "tensorflow")
    media.make("opus", tmp_path / "music/jazz", "vibes")
    media.make("flac", tmp_path / "music/classical", "dance", source=media.CLASSICAL)
    done = command_line(
        "evaluate", "shipped", tmp_path / "music", "-o", tmp_path / "out", "--format", "json", "-j", "1"
    )
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert json.loads(done.stdout) == scores
    assert (scores["n_tracks"], scores["track_accuracy"]["value"]) == (2, 1.0)
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"confusion.png", "reliability.png"}


def test_evaluate_a_reference_model(command_line, music):
    need_library("librosa", "matplotlib", "tensorflow")
    arguments = ["--protocol", "segment", "--protocol", "track", "--format", "markdown", "-j", "1"]
    done = command_line("evaluate", "reference-logistic", music, *arguments, status=1)
    header, _, leaky, honest = done.stdout.strip().splitlines()
    assert header.startswith("| Model") and "*leaky*" in leaky and "leaky" not in honest
    assert "did you mean" in command_line("evaluat", "x", status=2).stderr
    assert "no such model: 'reference-forest'" in command_line("evaluate", "reference-forest", music, status=2).stderr
    assert "no such model" in command_line("evaluate", "nothing", music, status=1).stderr
    refused = command_line("evaluate", "shipped", music, "--protocol", "track", "--only-ten", status=2).stderr
    assert "--protocol, --only-ten: only for the reference models" in refused


def test_only_ten_leaves_other_music_out(command_line, tmp_path):
    need_library("librosa", "matplotlib", "tensorflow")
    root = tones(tmp_path / "set", labels=("classical", "metal", "polka"), clips=5, seconds=3.2)
    arguments = [f"folders:{root}", "--protocol", "track", "--format", "json", "-j", "1"]
    every = json.loads(command_line("evaluate", "seed-logistic", *arguments).stdout)
    assert every["model"] == "reference-logistic", "the former name is accepted"
    ten = json.loads(command_line("evaluate", "reference-logistic", *arguments, "--only-ten").stdout)
    assert (every["labels"], every["n_tracks"]) == (["classical", "metal", "polka"], 15)
    assert (ten["labels"], ten["n_tracks"]) == (["classical", "metal"], 10)


def test_ctrl_c_ends_training_and_the_same_command_resumes_it(program, tmp_path):
    need_library("tensorflow", "matplotlib")
    root, out = tones(tmp_path / "set", labels=("classical", "metal"), clips=5, seconds=3.2), tmp_path / "out"
    command = ["train", root, "-o", out, "--from-scratch", "--cache", tmp_path / "cache", "-j", "1", "--batch", "4"]
    first = program.command(*command, "--steps", "5", "--epochs", "100000", "--patience", "100000")
    with subprocess.Popen(first, env=program.environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 1/"):
                break
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and told.splitlines()[-1] == "genrify-tag: interrupted"
    done = len(json.loads((out / "run.json").read_text())["history"])
    again = program(*command, "--steps", "5", "--epochs", str(done + 1), "--patience", "100000")
    assert "no training clip for blues, country, disco" in again.stderr
    assert f"epoch {done + 1}/{done + 1}" in again.stderr and "epoch 1/" not in again.stderr
    assert {"model.keras", "genrify.tflite", "genrify.json", "MODEL_CARD.md"} <= {path.name for path in out.iterdir()}


def test_train_needs_more_than_one_label(command_line, tmp_path):
    need_library("tensorflow", "matplotlib")
    root = tones(tmp_path / "set", labels=("metal",), clips=2)
    command = ["train", f"folders:{root}", "-o", tmp_path / "out", "--from-scratch", "--labels", "own"]
    done = command_line(*command, "--cache", tmp_path / "cache", "-j", "1", status=2)
    assert "only one label" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_reported_before_any_work(command_line, music, tmp_path):
    need_library("librosa", "tensorflow", "matplotlib")
    (tmp_path / "file").write_text("in the way")
    for command in (["train", music, "--from-scratch"], ["evaluate", "shipped", music]):
        refused = command_line(*command, "-o", tmp_path / "file/out", status=2).stderr.splitlines()
        assert len(refused) == 1 and f"{tmp_path / 'file'}: is a file, not a folder" in refused[0]
    for option, value in (("--seed", "-1"), ("--learning-rate", "0")):
        assert option in command_line("train", music, "-o", tmp_path / "out", option, value, status=2).stderr


@pytest.fixture(scope="module")
def own_model(tmp_path_factory):
    """A model of three labels, one of them outside the ten, trained for seconds."""
    need_library("librosa", "tensorflow", "matplotlib")
    folder = tmp_path_factory.mktemp("own")
    music = tones(folder / "set", labels=("classical", "metal", "polka"), clips=6)
    arguments = ["--labels", "own", "--from-scratch", "--no-augmentation", "--cache", folder / "cache", "-j", "1"]
    quick = ["--epochs", "3", "--steps", "12", "--batch", "12", "--learning-rate", "0.003"]
    Program(folder)("train", f"folders:{music}", "-o", folder / "model", *arguments, *quick)
    return folder / "model"


@pytest.fixture
def library(tmp_path):
    for label in ("classical", "metal", "polka"):
        write_wav(tmp_path / "library" / f"{label}.wav", sound(label, 100))
    return tmp_path / "library"


def test_a_users_model_tags_a_library(command_line, own_model, library, tmp_path):
    sidecar = json.loads((own_model / "genrify.json").read_text())
    ways = {
        "folder": ("--model", own_model),
        "sidecar": ("--model", own_model / "genrify.json", "--vocabulary", "own"),
    }
    for name, given in ways.items():
        options = ("--min-confidence", "0", "--format", "jsonl", "--dry-run", "--database", tmp_path / f"{name}.db")
        results = [json.loads(line) for line in command_line("scan", library, *given, *options).stdout.splitlines()]
        assert [one["vocabulary"] for one in results] == ["own"] * 3
        assert {one["model"] for one in results} == {sidecar["id"]}
        assert all(set(one["scores"]) == {"classical", "metal", "polka"} for one in results)
        guesses = {Path(one["path"]).stem: one["genres"] for one in results}
        assert guesses == {"classical": ["Classical"], "metal": ["Metal"], "polka": ["Polka"]}
    other = command_line("scan", library, "--vocabulary", "own", status=2).stderr
    assert "analysis.vocabulary is 'own'; the model has" in other and "--model chooses another" in other
    missing = command_line("scan", library, "--model", tmp_path / "nothing", status=1).stderr
    assert "nothing: no such model; give the folder" in missing and len(missing.splitlines()) == 1


def test_a_users_model_by_setting_and_by_option_of_every_command(command_line, own_model, library, tmp_path):
    song = library / "polka.wav"
    config = tmp_path / "config.toml"
    config.write_text(f"[analysis]\nmodel = {str(own_model)!r}\n")
    command_line("scan", library, "--config", config)
    for given in (("--config", config), ("--model", own_model)):
        shown = json.loads(command_line("show", song, *given, "--format", "json").stdout)
        assert shown["vocabulary"] == "own" and set(shown["scores"]) == {"classical", "metal", "polka"}
        found = command_line("similar", song, *given, "--format", "jsonl").stdout.splitlines()
        assert len(found) == 2
        picture = tmp_path / f"{given[0].strip('-')}.svg"
        command_line("plot", song, *given, "--panels", "timeline", "-o", picture)
        assert "<svg" in picture.read_text()
    other = command_line("similar", song, status=1).stderr
    assert "analysed with the model " in other and "run genrify-tag scan ~/Music first" in other


def test_the_service_with_a_model_of_ones_own(program, own_model, library):
    with watching(program, library, options=("--model", own_model)) as service:
        found = {song.stem: service.tagged(song) for song in sorted(library.iterdir())}
    assert found == {"classical": ["Classical"], "metal": ["Metal"], "polka": ["Polka"]}


def test_the_page_with_a_model_of_ones_own(program, own_model, library):
    with serving(program, "--model", str(own_model)) as page:
        song = page.analysed(library / "polka.wav")["song"]
        assert 'data-names=\'["Classical", "Metal", "Polka"]\'' in page.get("/").text
    assert song["genres"] == ["Polka"]
    assert {score["label"] for score in song["scores"]} == {"classical", "metal", "polka"}


def test_set_writes_a_models_labels_by_their_names(command_line, own_model, library):
    song = library / "metal.wav"
    command_line("set", song, "polka", "--model", own_model)
    assert genre(song) == ["Polka"]
    (kept,) = command_line.scan(song, "--model", own_model)
    assert (kept["status"], kept["reason"]) == ("kept", "set by hand")
    command_line("undo")
    assert genre(song) == []


@pytest.mark.parametrize("vocabulary", [None, "own"])
def test_beets_with_a_model_of_ones_own(own_model, library, tmp_path, vocabulary):
    need_beets()
    (tmp_path / "incoming").mkdir()
    beets = Beets(tmp_path / "home", plugins=[])
    for song in sorted(library.iterdir()):
        media.ffmpeg("-i", song, "-metadata", f"title={song.stem}", tmp_path / f"incoming/{song.stem}.flac")
    beets("import", "-A", tmp_path / "incoming")
    beets.plugins, beets.settings = ["genrify"], {}
    # As documented: a relative path starts at beets' configuration.
    shutil.copytree(own_model, tmp_path / "home/beets/mymodel")
    beets.configure(model="mymodel", vocabulary=vocabulary)
    assert "3 tagged" in beets("genrify").stderr
    assert beets.genres() == {"classical": "Classical", "metal": "Metal", "polka": "Polka"}
    model = json.loads((own_model / "genrify.json").read_text())["id"]
    assert {item["genrify_model"] for item in beets.items()} == {model}
    assert "3 items restored" in beets("genrify", "--undo").stderr
    assert set(beets.genres().values()) == {""}
    beets.configure(vocabulary="gtzan")
    assert "genrify.vocabulary is 'gtzan'; the model has: own" in beets("genrify", status=1).stderr


def test_evaluate_knows_the_vocabulary_of_a_model(command_line, own_model):
    music = own_model.parent / "set"
    expected = json.loads(command_line("evaluate", own_model, f"folders:{music}", "--format", "json", "-j", "1").stdout)
    assert expected["labels"] == ["classical", "metal", "polka"]
    assert (expected["n_tracks"], expected["n_trained_on"], expected["outside"]["n"]) == (18, 18, 0)
    assert expected["track_accuracy"]["value"] > 0.9
    given = ("--model", own_model, "--vocabulary", "own", "--format", "json", "-j", "1")
    assert json.loads(command_line("evaluate", f"folders:{music}", *given).stdout) == expected
    refused = command_line("evaluate", own_model, f"folders:{music}", "--vocabulary", "gtzan", status=2).stderr
    assert "has no vocabulary 'gtzan'; it has own" in refused
