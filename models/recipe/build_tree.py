"""Build the genre tree on the shipped network: run the steps from the sixth on, each with the options given here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def main() -> None:
    """Run the steps."""
    for step in sorted(Path(__file__).parent.glob("0[6-9]_*.py")):
        print(step.name, flush=True)
        subprocess.run([sys.executable, step, *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
