"""The command that builds the model runs the steps it is asked for; features are stored for the clips they are of."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synthetic_sounds import sound_names
from tree_clips import OUTSIDE, TreeClip
from tree_features import COPIES, FILE, ORIGINAL, compute_features

RECIPE = Path(__file__).parent.parent / "models/recipe"
STEP = """import json, os, sys
with open("done", "a") as file:
    print(json.dumps([sys.argv[1:], os.environ["OMP_NUM_THREADS"]]), file=file)
"""


@pytest.mark.parametrize(("options", "steps"), [((), 3), (("--first", "2"), 2), (("--first", "4"), 0)])
def test_the_steps_run_from_the_first_one_asked_for_each_on_one_thread(tmp_path, options, steps):
    shutil.copy(RECIPE / "build.py", tmp_path)
    for name in ("01_one.py", "02_two.py", "03_three.py", "other.py"):
        (tmp_path / name).write_text(STEP)
    (tmp_path / "done").touch()
    subprocess.run([sys.executable, "build.py", "--seed", "3", *options], cwd=tmp_path, check=True)
    done = [json.loads(line) for line in (tmp_path / "done").read_text().splitlines()]
    assert done == [[["--seed", "3"], "1"]] * steps


def test_a_step_that_fails_ends_the_build(tmp_path):
    shutil.copy(RECIPE / "build.py", tmp_path)
    (tmp_path / "01_one.py").write_text("raise SystemExit(3)")
    (tmp_path / "02_two.py").write_text(STEP)
    assert subprocess.run([sys.executable, "build.py"], cwd=tmp_path, capture_output=True).returncode
    assert not (tmp_path / "done").exists()


def test_features_are_computed_once_for_the_same_clips(tmp_path):
    label = frozenset({OUTSIDE})
    one, other = (
        TreeClip(name, "synthetic", "synthetic", "", label, label, 1, group="x") for name in sound_names()[:2]
    )

    def computed(clip: TreeClip) -> tuple[int, dict[str, np.ndarray]]:
        compute_features([clip], tmp_path, tmp_path)
        with np.load(tmp_path / FILE) as stored:
            return (tmp_path / FILE).stat().st_mtime_ns, dict(stored)

    first, table = computed(one)
    assert {table[copy].shape for copy in (ORIGINAL, *COPIES)} == {(1, 962)}
    assert computed(one)[0] == first
    again, changed = computed(other)
    assert again != first
    assert changed["paths"].tolist() == [other.path]
    assert not np.array_equal(changed[ORIGINAL], table[ORIGINAL])
