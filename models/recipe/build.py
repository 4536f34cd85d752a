"""Build the shipped model: run the numbered steps in turn, each with the options given here.

``--first N`` starts with step N, on what the steps before it left in the work folder and in ``models/``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

# On one thread sums have one order, so a build gives the same bytes whatever the number of cores.
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
ONE_THREAD = dict.fromkeys(THREADS, "1")


def main() -> None:
    """Run the steps."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=False)
    parser.add_argument("--first", type=int, default=1)
    own, options = parser.parse_known_args()
    for step in sorted(Path(__file__).parent.glob("[0-9]*_*.py")):
        if int(step.name[:2]) >= own.first:
            print(step.name, flush=True)
            subprocess.run([sys.executable, step, *options], check=True, env={**os.environ, **ONE_THREAD})


if __name__ == "__main__":
    main()
