"""Compare `beet genrify` with `genrify-tag scan` on the same songs; both analyse, journal and write."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import process, program

ROUNDS = 3
SURE = "0.01"  # every song is written: that is the dearest outcome


def measure(songs: Path) -> dict[str, float]:
    """Return wall seconds and CPU seconds of both, the best of some rounds taken in turn, and their ratio."""
    plugin, bare = [], []
    count = len(list(songs.iterdir()))
    with tempfile.TemporaryDirectory(dir=songs.parent) as name:
        for number in range(ROUNDS):
            plugin.append(_plugin(songs, Path(name) / f"plugin-{number}", count))
            bare.append(_bare(songs, Path(name) / f"bare-{number}", count))
    walls = {"beet genrify, s": min(r.wall for r in plugin), "genrify-tag scan, s": min(r.wall for r in bare)}
    cpus = {"beet genrify, CPU s": min(r.cpu for r in plugin), "genrify-tag scan, CPU s": min(r.cpu for r in bare)}
    walls["wall, plugin over bare"] = walls["beet genrify, s"] / walls["genrify-tag scan, s"]
    cpus["CPU, plugin over bare"] = cpus["beet genrify, CPU s"] / cpus["genrify-tag scan, CPU s"]
    return {"songs": float(count), **walls, **cpus}


def _bare(songs, home, count):
    shutil.copytree(songs, home / "music")
    run = program(home, "scan", home / "music", "--min-confidence", SURE)
    assert f"{count} tagged" in run.output, run.output[-500:]
    shutil.rmtree(home)
    return run


def _plugin(songs, home, count):
    shutil.copytree(songs, home / "music")
    (home / "config.yaml").write_text(
        f"directory: {home / 'music'}\nplugins: genrify\nimport: {{copy: no, write: yes}}\n"
        f"ui: {{color: no}}\ngenrify: {{auto: no, min_confidence: {SURE}}}\n"
    )
    environment = {**os.environ, "HOME": str(home), "BEETSDIR": str(home)}
    beet = [sys.executable, "-m", "beets"]
    process([*beet, "import", "-A", "-q", str(home / "music")], environment)
    run = process([*beet, "genrify"], environment)
    assert f"{count} tagged" in run.output, run.output[-500:]
    shutil.rmtree(home)
    return run
