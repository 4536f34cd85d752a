"""Step 9: write the figures into README and the model card, between the marks ``<!-- model -->`` and so on."""

from __future__ import annotations

import json
from pathlib import Path

import tree_card
from model_card import ablations_section, card_section, readme_section, replace_section
from recipe_options import MODELS, SCORES, TREE_SCORES

README, CARD = MODELS.parent / "README.md", MODELS / "MODEL_CARD.md"
ABLATIONS = Path(__file__).with_name("ablations.json")


def main() -> None:
    """Run the step."""
    files = (MODELS / SCORES, MODELS / TREE_SCORES, ABLATIONS)
    scores, tree, ablations = (json.loads(path.read_text("utf-8")) for path in files)
    for path, mark, text in (
        (README, "model", readme_section(tree)),
        (CARD, "tree", tree_card.card_section(tree)),
        (CARD, "model", card_section(scores)),
        (CARD, "ablations", ablations_section(ablations)),
    ):
        path.write_text(replace_section(path.read_text("utf-8"), text, mark), encoding="utf-8")


if __name__ == "__main__":
    main()
