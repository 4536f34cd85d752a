"""The vocabulary `tree` through the program: decisions, files, the cache of earlier versions, and altered copies."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from mediafile import MediaFile

from genrify_tagger.audio import load_segments
from genrify_tagger.classifier import Classifier, load_sidecar, model_id
from genrify_tagger.decision import decide_in_tree, song_features
from genrify_tagger.genre_tree import load_tree_head
from genrify_tagger.spectrogram import log_mel
from genrify_tagger.worker_main import levels_of, summarise
from tests import media
from tests.workbench import need_library
from tree_features import COPIES, ORIGINAL, altered

MODELS = Path(__file__).parent.parent / "models"
GTZAN = ("--vocabulary", "gtzan")
SURE = ("--min-confidence", "0.05")
TOPS = {
    "blues",
    "classical",
    "country",
    "electronic",
    "folk",
    "hiphop",
    "jazz",
    "latin",
    "pop",
    "reggae",
    "rnb",
    "rock",
}


@pytest.fixture
def metal_model(tmp_path) -> str:
    """A copy of the shipped model that takes any song for metal, and may write it; the path of its sidecar."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("genrify.tflite", "genres-tree.yaml"):
        shutil.copy(MODELS / name, folder)
    with np.load(MODELS / "genres-tree.npz") as shipped:
        arrays = dict(shipped)
    arrays["bias"][list(arrays["leaves"]).index("metal")] += 50
    np.savez(folder / "genres-tree.npz", **arrays)
    content = json.loads((MODELS / "genrify.json").read_text("utf-8"))
    tree = content["vocabularies"]["tree"]
    tree["writable"] = tree["labels"]
    tree["head_sha256"] = hashlib.sha256((folder / "genres-tree.npz").read_bytes()).hexdigest()
    content["id"] = model_id(content)
    (folder / "genrify.json").write_text(json.dumps(content))
    return str(folder / "genrify.json")


def test_a_song_gets_a_genre_of_the_tree_and_its_path(command_line, tmp_path):
    song = media.make("mp3-v2.4", tmp_path / "music")
    result = command_line.scan(song, *SURE)[0]
    assert (result["status"], result["vocabulary"]) == ("tagged", "tree")
    assert result["genres"] == result["tree"] == ["Jazz"] == MediaFile(song).genres
    assert len(result["scores"]) == 16
    assert 0.5 < sum(score for label, score in result["scores"].items() if label in TOPS) <= 1 + 1e-6
    again = command_line.scan(song, *SURE)[0]
    assert (again["status"], again["tree"], again["scores"]) == ("unchanged", ["Jazz"], result["scores"])


def test_gtzan_has_no_tree_and_is_decided_as_before(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    result = command_line.scan(song, *SURE, *GTZAN)[0]
    assert (result["vocabulary"], result["tree"], len(result["scores"])) == ("gtzan", [], 10)


def test_broad_means_the_tree_and_is_told_of_once(program, tmp_path):
    song = media.make("flac", tmp_path / "music")
    (tmp_path / "config.toml").write_text('[analysis]\nvocabulary = "broad"\n')
    done = program("--config", tmp_path / "config.toml", "scan", "--format", "jsonl", "--vocabulary", "broad", song)
    assert json.loads(done.stdout)["vocabulary"] == "tree"
    assert done.stderr.count('analysis.vocabulary: "broad" has become "tree"') == 1
    assert "broad" not in program("scan", "--dry-run", song).stderr


def test_an_upgrade_analyses_again_what_was_unsure_and_nothing_else(command_line, tmp_path):
    """Files of model 1.3, whose default was `gtzan` and whose analyses lack what the tree needs."""
    media.make("opus", tmp_path / "music", "unsure")
    tagged = MediaFile(media.make("flac", tmp_path / "music", "kept"))
    tagged.genres = ["Swing"]
    tagged.save()
    url = tmp_path / "library.db"

    def scan(*options: str) -> dict[str, tuple[str, bool]]:
        arguments = (tmp_path / "music", "--min-confidence", "1", *options)
        found = command_line.scan(*arguments, GENRIFY_DATABASE__URL=str(url))
        return {Path(one["path"]).stem: (one["status"], one["cached"]) for one in found}

    assert scan(*GTZAN) == {"kept": ("kept", False), "unsure": ("unsure", False)}
    with closing(sqlite3.connect(url)) as database, database:
        database.execute("UPDATE files SET model = '1.3-36a85612'")
        database.execute("UPDATE analyses SET spread = NULL")
    assert scan() == {"kept": ("unchanged", True), "unsure": ("unsure", False)}
    assert scan() == {"kept": ("unchanged", True), "unsure": ("unchanged", True)}
    assert scan(*GTZAN) == {"kept": ("unchanged", True), "unsure": ("unsure", True)}
    assert scan("--reanalyse") == {"kept": ("kept", False), "unsure": ("unsure", False)}
    assert scan(*GTZAN) == {"kept": ("kept", True), "unsure": ("unsure", True)}, "the vocabulary was changed"


def test_unsure_shows_the_guess_and_writes_nothing(command_line, tmp_path):
    song = media.make("opus", tmp_path / "music")
    result = command_line.scan(song, "--min-confidence", "1")[0]
    assert (result["status"], result["genres"], result["tree"]) == ("unsure", [], [])
    assert "below 1" in result["reason"]
    shown = command_line("show", song, GENRIFY_TAGGING__MIN_CONFIDENCE="1").stdout
    assert "genre tree     Jazz 0." in shown
    assert ": nothing is written" in shown


@pytest.mark.parametrize(("level", "genres"), [("leaf", ["Metal"]), ("parent", ["Rock"]), ("both", ["Metal", "Rock"])])
def test_leaf_parent_or_both_are_written(command_line, tmp_path, metal_model, level, genres):
    song = media.make("mp3-v2.4", tmp_path / "music")
    settings = {"GENRIFY_ANALYSIS__MODEL": metal_model, "GENRIFY_TAGGING__TREE_LEVEL": level}
    result = command_line.scan(song, **settings)[0]
    assert result["genres"] == genres == MediaFile(song).genres
    assert result["tree"] == (["Rock"] if level == "parent" else ["Rock", "Metal"])
    shown = command_line("show", song, **settings).stdout
    assert re.search(r"genre tree +Rock 1\.00 > Metal [01]\.\d\d: (Rock|Metal|Rock and Metal) (is|are) written", shown)


def test_show_tells_what_is_written(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    shown = command_line("show", song, GENRIFY_TAGGING__MIN_CONFIDENCE="0.05").stdout
    line = next(line for line in shown.splitlines() if line.startswith("  genre tree"))
    assert line.endswith(": Jazz is written")
    told = json.loads(command_line("show", song, "--format", "json").stdout)
    assert told["vocabulary"] == "tree"
    assert all(entry["label"] in {*load_sidecar().vocabularies["gtzan"].labels, None} for entry in told["timeline"])


def test_analyses_serve_both_vocabularies_and_old_ones_are_renewed_for_the_tree_alone(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    url = tmp_path / "library.db"
    settings = {"GENRIFY_DATABASE__URL": str(url)}

    def cached(*options: str) -> bool:
        return bool(command_line.scan(song, "--min-confidence", "1", *options, **settings)[0]["cached"])

    assert not cached(*GTZAN)
    with closing(sqlite3.connect(url)) as database, database:
        assert database.execute("SELECT model FROM analyses").fetchall() == [(load_sidecar().analyses,)]
    assert cached(), "the analysis that gtzan made has what the tree needs"
    with closing(sqlite3.connect(url)) as database, database:
        database.execute("UPDATE analyses SET spread = NULL")  # as versions before the tree have stored it
    assert cached(*GTZAN, "--max-genres", "2"), "gtzan needs nothing new"
    assert not cached("--max-genres", "2")
    assert cached("--max-genres", "3")


def test_a_scan_ends_with_the_genres_of_the_tree(command_line, tmp_path, metal_model):
    media.make("mp3-v2.4", tmp_path / "music", "a")
    media.make("flac", tmp_path / "music", "b")
    settings = {"GENRIFY_ANALYSIS__MODEL": metal_model}
    planned = command_line("scan", "--dry-run", tmp_path / "music", **settings)
    assert "To be written: Rock 2 (of these Metal 2)." in planned.stderr
    assert re.search(r"^tagged +Rock > Metal [01]\.\d\d ", planned.stdout, re.MULTILINE)
    unsure = command_line("scan", "--dry-run", "--min-confidence", "1", tmp_path / "music").stderr
    assert "Unsure, by best guess: Jazz 2." in unsure
    done = command_line("scan", "--tree-level", "parent", tmp_path / "music", **settings).stderr
    assert "Written: Rock 2." in done


def test_what_a_whitelist_makes_of_a_genre_is_told_as_it_is_written(command_line, tmp_path):
    song = media.make("flac", tmp_path / "music")
    (tmp_path / "list.txt").write_text("improvised\n")
    (tmp_path / "tree.yaml").write_text("- improvised:\n    - jazz\n")
    (tmp_path / "config.toml").write_text('[genres]\nwhitelist = "list.txt"\ntree = "tree.yaml"\n')
    done = command_line("--config", tmp_path / "config.toml", "scan", "--dry-run", *SURE, song)
    assert re.search(r"^tagged +Improvised 0\.\d\d ", done.stdout)
    assert "To be written: Improvised 1." in done.stderr


@pytest.mark.parametrize(("level", "genres"), [("leaf", "Metal"), ("parent", "Rock"), ("both", "Metal; Rock")])
def test_beets_writes_leaf_parent_or_both(beets, metal_model, level, genres):
    beets.configure(model=metal_model, tree_level=level)
    beets("genrify", "title:Jazz 1")
    assert beets.genres("title:Jazz 1") == {"Jazz 1": genres}
    assert "Rock 1.00 > Metal" in beets("genrify", "--explain", "title:Jazz 1").stdout


def test_an_unknown_level_is_refused(command_line, tmp_path):
    done = command_line("scan", tmp_path, GENRIFY_TAGGING__TREE_LEVEL="twig", status=2)
    assert "tree_level" in done.stderr
    assert "leaf" in done.stderr


def test_a_damaged_head_is_an_error_that_names_it(command_line, tmp_path, metal_model):
    head = Path(metal_model).with_name("genres-tree.npz")
    head.write_bytes(head.read_bytes()[:-1])
    song = media.make("flac", tmp_path / "music")
    done = command_line("scan", song, GENRIFY_ANALYSIS__MODEL=metal_model, status=1)
    assert "genres-tree.npz" in done.stderr


@pytest.mark.parametrize("clip", [media.JAZZ, media.CLASSICAL], ids=["jazz", "classical"])
def test_copies_of_a_recording_keep_their_genre_or_become_unsure(clip):
    """No copy that is narrower, louder, equalised or coded at 24 kbit/s turns to another genre."""
    vocabulary = load_sidecar().vocabularies["tree"]
    assert vocabulary.tree is not None
    head = load_tree_head(**vocabulary.tree.files(), names=vocabulary.names)
    genre = "jazz" if clip == media.JAZZ else "classical"
    network, segments = Classifier(), load_segments(str(clip))
    for copy in (ORIGINAL, *COPIES):
        y = altered(segments.y, copy, clip.name)
        song = summarise(12.0, segments.intervals, levels_of(y), network.predict(log_mel(y)))
        decision = decide_in_tree(song_features(song.embedding, song.spread, song.tags), song.levels, head, vocabulary)
        assert not decision.genres or decision.genres[0] == genre
        assert copy != ORIGINAL or decision.nodes[0][0] == genre


def test_evaluate_tells_the_figures_of_each_source(program, tmp_path):
    need_library("librosa", "matplotlib", "tensorflow")
    media.make("opus", tmp_path / "music", "vibes")
    media.make("flac", tmp_path / "music", "dance", source=media.CLASSICAL)
    rows = "file,genre,source\nvibes.opus,jazz,radio\ndance.flac,classical,concert\n"
    (tmp_path / "music/labels.csv").write_text(rows)
    arguments = ("evaluate", "shipped", tmp_path / "music", "-j", "1")
    told = program(*arguments, "--by", "source").stdout
    assert re.search(r"^ +1 +\d+% +\S+  radio$", told, re.MULTILINE)
    assert re.search(r"^ +1 +\d+% +\S+  concert$", told, re.MULTILINE)
    scores = json.loads(program(*arguments, "--format", "json").stdout)
    assert set(scores["labels"]) == TOPS
    assert scores["track_accuracy"]["value"] == 1.0
    assert {(one["source"], one["n"]) for one in scores["sources"]} == {("radio", 1), ("concert", 1)}
