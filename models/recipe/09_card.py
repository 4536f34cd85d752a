"""Step 9: write the figures into the docs and the model card, between the marks ``<!-- model -->`` and so on."""

from __future__ import annotations

import json
from pathlib import Path

import tree_card
from model_card import ablations_section, accuracy_section, card_section, replace_section
from recipe_options import MODELS, SCORES, TREE_SCORES

ACCURACY, CARD = MODELS.parent / "docs/explanation/accuracy.md", MODELS / "MODEL_CARD.md"
ABLATIONS, TREE_ABLATIONS = (Path(__file__).with_name(f"{name}.json") for name in ("ablations", "tree_ablations"))


def main() -> None:
    """Run the step."""
    files = (MODELS / SCORES, MODELS / TREE_SCORES, ABLATIONS, TREE_ABLATIONS)
    scores, tree, ablations, tree_ablations = (json.loads(path.read_text("utf-8")) for path in files)
    for path, mark, text in (
        (ACCURACY, "model", accuracy_section(tree)),
        (CARD, "tree", tree_card.card_section(tree)),
        (CARD, "tree ablations", tree_card.ablations_section(tree_ablations)),
        (CARD, "model", card_section(scores)),
        (CARD, "ablations", ablations_section(ablations)),
    ):
        path.write_text(replace_section(path.read_text("utf-8"), text, mark), encoding="utf-8")


if __name__ == "__main__":
    main()
