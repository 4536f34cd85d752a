"""The genre tree: the file, the head that scores it, and which node of it a song is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from genrify_tagger.decision import Decision, decide_in_tree, leaf_probabilities, node_scores, song_features
from genrify_tagger.errors import ModelError
from genrify_tagger.genre_rules import parse_tree
from genrify_tagger.genre_spelling import spelling
from genrify_tagger.genre_tree import TreeHead, load_tree_head

SHIPPED_TREE = Path(__file__).parent.parent / "models" / "genres-tree.yaml"
TEN = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
LABELS = (*TEN, "electronic", "folk", "rnb", "latin", "newage", "punk")
LEAVES = (*LABELS, "world", "outside")
NAMES = {"hiphop": "Hip-Hop", "rnb": "R&B", "newage": "New Age"}
CHILDREN = {"metal": "rock", "punk": "rock", "disco": "rnb", "newage": "electronic"}

# Probabilities of leaves and the confidence in the top genre and its child, as the study of the model printed them.
CALIBRATION = {
    "above": 1.130083,
    "below": 0.669997,
    "bias": -0.193854,
    "bias:rock": 0.088178,
    "bias:jazz": 0.023029,
    "bias:rnb": -0.090239,
    "bias:electronic": 0.04125,
    "child": 0.653819,
    "child_bias": -0.685883,
    "child_bias:metal": 0.010992,
    "child_bias:disco": 0.000008,
    "child_bias:newage": -0.008912,
}
METAL = {"metal": 0.99949, "rock": 0.00009, "punk": 0.00034}
NEW_AGE = {"classical": 0.10128, "pop": 0.04685, "electronic": 0.04965, "newage": 0.63019, "outside": 0.06646}
DISCO = {"disco": 0.9196, "pop": 0.01429, "latin": 0.01247, "rnb": 0.00239, "outside": 0.0306}
DOUBT = {"rock": 0.27958, "metal": 0.02334, "punk": 0.00207, "classical": 0.13717, "rnb": 0.12861, "latin": 0.11761}


@dataclass(frozen=True)
class Tree:
    labels: tuple[str, ...] = LABELS
    calibration: Mapping[str, float] = field(default_factory=lambda: CALIBRATION)
    writable: frozenset[str] = frozenset(LABELS)
    min_confidence: float = 0.8


def decided(leaves: Mapping[str, float], vocabulary: Tree | None = None, levels=(-20.0,), **options) -> Decision:
    """Decide with a head whose bias alone gives these probabilities; what they lack of 1 is outside the tree."""
    rest = {"world": 1 - sum(leaves.values())}
    bias = np.log([max((rest | leaves).get(leaf, 0.0), 1e-9) for leaf in LEAVES])
    head = TreeHead(np.zeros((3, len(LEAVES)), np.float32), bias.astype(np.float32), LEAVES, CHILDREN, {})
    return decide_in_tree(np.zeros(3), np.array(levels, np.float32), head, vocabulary or Tree(), **options)


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        (METAL, (("rock", 1.0), ("metal", 0.98638))),
        (NEW_AGE, (("electronic", 0.6678), ("newage", 0.41429))),
        (DISCO, (("rnb", 0.9246), ("disco", 0.71248))),
        ({"jazz": 0.99917}, (("jazz", 0.9996),)),
        (DOUBT, (("rock", 0.3413),)),
    ],
)
def test_confidences_are_the_studys(leaves, expected):
    nodes = decided(leaves).nodes
    assert [label for label, _ in nodes] == [label for label, _ in expected]
    assert [confidence for _, confidence in nodes] == pytest.approx([value for _, value in expected], abs=2e-4)


def test_the_deepest_sure_node_is_given_else_its_parent_else_none():
    assert decided(METAL).genres == ("metal",)
    assert decided(METAL).confidence == pytest.approx(0.98638, abs=1e-4)
    parent = decided(DISCO)
    assert (parent.genres, parent.reason) == (("rnb",), None)
    assert parent.confidence == pytest.approx(0.9246, abs=1e-4)
    unsure = decided(NEW_AGE)
    assert (unsure.genres, unsure.reason) == ((), "confidence 0.67 below 0.80")
    assert max(unsure.scores, key=unsure.scores.__getitem__) == "electronic"


def test_a_level_of_the_tree_can_be_chosen():
    assert [decided(METAL, level=level).genres for level in ("leaf", "parent", "both")] == [
        ("metal",),
        ("rock",),
        ("metal", "rock"),
    ]
    assert [decided(DISCO, level=level).genres for level in ("leaf", "parent", "both")] == [("rnb",)] * 3


def test_labels_with_too_little_evidence_are_never_written():
    tops_only = Tree(writable=frozenset(LABELS) - set(CHILDREN))
    decision = decided(METAL, tops_only)
    assert decision.genres == ("rock",)
    assert decision.confidence == pytest.approx(1.0, abs=1e-3)
    assert dict(decision.nodes)["metal"] == pytest.approx(0.98638, abs=1e-4), "it is shown all the same"
    no_rock = Tree(writable=frozenset({"metal"}))
    assert decided(METAL, no_rock).genres == (), "a child is never written without its parent being sure"
    assert decided(METAL, no_rock).reason == "too little evidence for rock"


def test_scores_of_top_genres_and_outside_sum_to_one():
    scores = decided({"metal": 0.2, "rock": 0.3, "jazz": 0.4}).scores
    assert scores["rock"] == pytest.approx(0.5, abs=1e-6)
    assert scores["metal"] == pytest.approx(0.2, abs=1e-6)
    assert sum(score for label, score in scores.items() if label not in CHILDREN) == pytest.approx(0.9, abs=1e-6)


def test_the_callers_threshold_overrides_the_models():
    assert decided(NEW_AGE, min_confidence=0.6).genres == ("electronic",)
    assert decided(NEW_AGE, min_confidence=0.4).genres == ("newage",)
    assert decided(METAL, min_confidence=1.0).genres == ()


def test_silence_is_unsure():
    decision = decided(METAL, levels=(-60.0, -120.0))
    assert (decision.genres, decision.confidence, decision.reason) == ((), 0.0, "silence")
    assert set(decision.scores.values()) == {0.0}


@given(arrays(np.float64, len(LEAVES), elements=st.floats(0, 1)), st.floats(0, 1), st.sampled_from(sorted(CHILDREN)))
def test_a_child_is_never_surer_than_its_parent(weights, threshold, child):
    weights[LEAVES.index(child)] += 1
    decision = decided(dict(zip(LEAVES, weights / weights.sum(), strict=True)), min_confidence=threshold)
    confidences = [confidence for _, confidence in decision.nodes]
    assert confidences == sorted(confidences, reverse=True)
    assert all(0 <= confidence <= 1 for confidence in confidences)
    assert decision.genres == () or decision.confidence >= threshold


def test_features_are_embedding_log_odds_of_tags_and_spread():
    embedding, spread, tags = np.float32([1, 2]), np.float32([0.5, 0]), np.float32([0.5, 0, 1])
    expected = [1, 2, 0, np.log(1e-4 / (1 - 1e-4)), np.log((1 - 1e-4) / 1e-4), 0.5, 0]
    np.testing.assert_allclose(song_features(embedding, spread, tags), expected, atol=1e-6)


def test_several_songs_at_once_are_scored_like_each_by_itself():
    rng = np.random.default_rng(0)
    head = TreeHead(rng.normal(size=(7, 18)).astype(np.float32), np.zeros(18, np.float32), LEAVES, CHILDREN, {})
    songs = rng.normal(size=(5, 7))
    together = node_scores(leaf_probabilities(songs, head), LEAVES, LABELS, CHILDREN)
    alone = [node_scores(leaf_probabilities(song, head), LEAVES, LABELS, CHILDREN) for song in songs]
    np.testing.assert_allclose(together, alone, atol=1e-12)


@pytest.fixture
def files(tmp_path) -> dict[str, str]:
    """A head and the shipped tree; what `load_tree_head` needs to load them."""
    head = tmp_path / "head.npz"
    np.savez(head, weights=np.ones((7, 18), np.float16), bias=np.zeros(18, np.float32), leaves=np.array(LEAVES))
    return described(head, SHIPPED_TREE)


def described(head: Path, tree: Path) -> dict[str, str]:
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in (head, tree)]
    return {"head": str(head), "head_sha256": hashes[0], "tree": str(tree), "tree_sha256": hashes[1]}


def test_the_hierarchy_comes_from_the_tree_file(files):
    head = load_tree_head(**files, names={label: NAMES.get(label, label.title()) for label in LABELS})
    assert head.parents == CHILDREN
    assert head.paths["newage"] == ("electronic", "ambient", "new age")
    assert head.paths["hiphop"] == ("hip hop",)
    assert (head.weights.dtype, head.weights.shape, head.leaves) == (np.float32, (7, 18), LEAVES)


def test_the_shipped_tree_has_a_dozen_tops_and_forty_to_sixty_genres():
    paths = parse_tree(SHIPPED_TREE.read_text("utf-8"))
    assert sum(len(path) == 1 for path in paths.values()) == 12
    assert 40 <= len(paths) <= 60
    assert {spelling(label) for label in TEN} <= set(paths)


def test_lastgenres_own_tree_can_be_read():
    import beetsplug.lastgenre

    file = Path(beetsplug.lastgenre.__file__).with_name("genres-tree.yaml")
    paths = parse_tree(file.read_text("utf-8"))
    assert paths["heavymetal"][0] == "rock"
    assert len(paths) > 500


@pytest.mark.parametrize("damage", ["missing", "other", "no zip", "no tree", "unknown name", "wrong shape"])
def test_files_that_do_not_fit_are_refused_by_name(files, tmp_path, damage):
    names = {label: NAMES.get(label, label.title()) for label in LABELS}
    head, tree = tmp_path / "head.npz", tmp_path / "tree.yaml"
    tree.write_bytes(SHIPPED_TREE.read_bytes())
    if damage == "missing":
        files["head"] = str(tmp_path / "nowhere.npz")
    elif damage == "other":
        files["head_sha256"] = "0" * 64
    elif damage == "no zip":
        head.write_bytes(b"PK damaged")
        files = described(head, tree)
    elif damage == "no tree":
        tree.write_text("- [unclosed")
        files = described(head, tree)
    elif damage == "unknown name":
        names["hiphop"] = "Schlager"
    else:
        np.savez(head, weights=np.ones((7, 17)), bias=np.zeros(18), leaves=np.array(LEAVES))
        files = described(head, tree)
    with pytest.raises(ModelError) as caught:
        load_tree_head(**files, names=names)
    assert caught.value.path in (files["head"], files["tree"])


def test_the_default_calibration_is_neutral():
    plain = replace(Tree(), calibration={})
    assert decided({"jazz": 0.7}, plain, min_confidence=0).confidence == pytest.approx(0.7, abs=1e-5)
