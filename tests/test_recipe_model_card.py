"""The docs and the model card have the figures that the build measured, for the model that is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from genrify_tagger.classifier import load_sidecar
from model_card import ablations_section, accuracy_section, card_section, format_interval, replace_section

ROOT = Path(__file__).parent.parent
SCORES = json.loads((ROOT / "models/scores.json").read_text("utf-8"))
TREE_SCORES = json.loads((ROOT / "models/scores-tree.json").read_text("utf-8"))
ABLATIONS = json.loads((ROOT / "models/recipe/ablations.json").read_text("utf-8"))


def test_the_figures_are_those_of_the_shipped_model():
    sidecar = load_sidecar()
    assert SCORES["model"] == sidecar.analyses, "the tree, added later, has figures of its own"
    assert TREE_SCORES["model"] == sidecar.id
    assert SCORES["threshold"] == sidecar.vocabularies["gtzan"].min_confidence


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("docs/explanation/accuracy.md", accuracy_section(TREE_SCORES)),
        ("models/MODEL_CARD.md", card_section(SCORES)),
    ],
)
def test_the_texts_have_the_measured_figures(path, text):
    """After a build: python models/recipe/09_card.py."""
    content = (ROOT / path).read_text("utf-8")
    assert replace_section(content, text) == content


def test_the_docs_tell_the_held_out_sources_first():
    text = accuracy_section(TREE_SCORES)
    figures = [
        format_interval(TREE_SCORES[part]["all"]["written"]) for part in ("held-out sources", "held-out artists")
    ]
    assert text.index(figures[0]) < text.index(figures[1])
    assert "somewhat too good" in text


def test_the_ablations_have_the_measured_figures():
    content = (ROOT / "models/MODEL_CARD.md").read_text("utf-8")
    assert replace_section(content, ablations_section(ABLATIONS), "ablations") == content


def test_a_figure_that_differs_shows():
    changed = json.loads(json.dumps(SCORES))
    changed["accuracy"]["micro"]["value"] = 0.123
    assert card_section(changed) != card_section(SCORES)


def test_a_text_without_marks_is_refused():
    with pytest.raises(ValueError, match="has no <!-- model -->"):
        replace_section("no marks", "text")


def test_intervals_hold_their_values():
    for figure in [*SCORES["accuracy"].values(), *SCORES["operating"]["one genre, of the ten"].values()]:
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["n"] >= 10
