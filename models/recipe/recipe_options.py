"""The command line that all steps share, and the files that one step writes for the next."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).parent.parent
CALIBRATION, PREDICTIONS, HEAD = "calibration.json", "predictions.npz", "head.pickle"  # in the work folder
SCORES, TREE_SCORES = "scores.json", "scores-tree.json"  # in MODELS


def parse_options(description: str | None) -> argparse.Namespace:
    """Read the options of a step; all steps take the same ones."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/ (default: ../shared)")
    parser.add_argument(
        "--wheel",
        type=Path,
        default=Path("musicnn-0.1.0-py3-none-any.whl"),
        help="from `pip download --no-deps musicnn==0.1.0` (default: in this folder)",
    )
    parser.add_argument("--work", type=Path, default=Path("build/recipe"), help="folder for intermediate results")
    parser.add_argument("--repeats", type=int, default=3, help="cross-validations to average (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    options.seeds = range(options.seed, options.seed + options.repeats)
    return options


def write_figures(path: Path, value: Any) -> None:
    """Write JSON as the model's files have it."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def print_figures(**values: Any) -> None:
    """Print figures with four digits."""
    print(json.dumps(rounded(values)), flush=True)


def rounded(value: Any) -> Any:
    """Return values with four digits; a value that is not finite is null."""
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, float):
        return float(f"{value:.4g}") if np.isfinite(value) else None
    return value
