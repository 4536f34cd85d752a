"""Install this copy into a fresh environment, tag two songs with it and undo that: the same on every system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Do it, or end with an error."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        folder = Path(work)
        program = install(folder / "venv")
        music = folder / "music – ünïcode"
        shutil.copytree(ROOT / "tests" / "data", music, ignore=shutil.ignore_patterns("*.md", "*.json"))
        before = contents(music)
        check(program, folder, music, before)


def install(environment: Path) -> Path:
    """Install the program and return its path."""
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    subprocess.run([python, "-m", "pip", "install", "-q", f"{ROOT}[web]"], check=True)
    return scripts / ("genrify-tag.exe" if os.name == "nt" else "genrify-tag")


def check(program: Path, folder: Path, music: Path, before: dict[str, bytes]) -> None:
    """Scan, scan again, undo."""

    def run(*arguments: object) -> str:
        command = [str(program), "--database", str(folder / "library.db"), *map(str, arguments)]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout

    def statuses() -> list[str]:
        lines = run("scan", "--format", "jsonl", "--min-confidence", "0.05", music).splitlines()
        return [json.loads(line)["status"] for line in lines]

    print(run("--version"))
    found = statuses()
    assert found == ["tagged"] * len(before), found
    after = contents(music)
    assert all(after[name] != before[name] for name in before), "nothing was written"
    again = statuses()
    assert again == ["unchanged"] * len(before), again
    run("undo")
    assert contents(music) == before, "undo did not restore the files"
    run("set", *sorted(music.iterdir()), "Jazz")
    run("status")
    run("db", "check")
    print(f"{sys.platform}, Python {sys.version.split()[0]}: tagged {len(before)} songs and undid it")


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of each file."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}


if __name__ == "__main__":
    main()
