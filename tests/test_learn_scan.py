"""Learning and then scanning real songs of real artists, through the installed program."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest

from tests import media, tagging
from tests.program import Program

SHARED = Path(os.environ.get("GENRIFY_SHARED_DATA") or Path(__file__).parents[2] / "shared") / "data" / "world"
GENRES = {"rock": "Rock", "metal": "metal", "latin": "LATIN"}


def clips() -> list[dict[str, str]]:
    """Return up to 24 clips of each of some genres, of artists with several songs first."""
    with (SHARED / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["artist"] and row["genres"] in GENRES]
    found = []
    for genre in GENRES:
        of_genre = [row for row in rows if row["genres"] == genre and row["source"].startswith(("tyiannak", "djedson"))]
        found += sorted(of_genre, key=lambda row: (row["artist"], row["file"]))[:24]
    return found


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the clips with artists; GENRIFY_SHARED_DATA names their folder")
    folder = tmp_path_factory.mktemp("library")
    for number, row in enumerate(clips()):
        song = folder / f"{number:03}.opus"
        tags = ["-metadata", f"artist={row['artist']}", "-metadata", f"title=Song {number}"]
        if number % 4:
            tags += ["-metadata", f"genre={GENRES[row['genres']]}"]
        media.ffmpeg("-i", SHARED / row["file"], "-map_metadata", "-1", "-c", "copy", *tags, song)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_learning_changes_no_file_and_then_decides_by_the_library_until_undone(library: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    program = Program(tmp_path / "home")
    program.scan(library, "--min-confidence", "1")
    before = contents(library)
    report = json.loads(program("learn", "--format", "json").stdout)
    assert contents(library) == before
    assert {genre["name"] for genre in report["genres"]} == {"Rock", "Metal", "Latin"}
    assert report["in_use"], report["reason"]

    results = program.scan(library)
    truth = [row["genres"].title() for row in clips()]
    tagged = {item["path"]: item for item in results if item["status"] == "tagged"}
    assert len(tagged) >= 8
    right = [item["after"] == [truth[int(Path(path).stem)]] for path, item in tagged.items()]
    assert sum(right) >= 0.8 * len(right)
    assert all(
        item["vocabulary"] == "mine" and set(item["evidence"]) >= {"sound", "learned"} for item in tagged.values()
    )
    assert {item["status"] for item in results} == {"tagged", "kept", "unsure"}
    assert {item["status"] for item in program.scan(library)} == {"unchanged"}
    shown = program("show", next(iter(tagged))).stdout
    assert "sounds like" in shown
    assert "written at" in shown

    again = json.loads(program("learn", "--format", "json").stdout)
    assert again["songs"] == report["songs"], "what it wrote itself does not teach"
    assert all(tagging.genres(Path(path)) == tuple(item["after"]) for path, item in tagged.items())
    assert any(item["evidence"]["artist"] for item in tagged.values())
    program("undo")
    assert contents(library) == before

    by_sound = program.scan(library, "--dry-run", "--force", "--min-confidence", "1", GENRIFY_TAGGING__EVIDENCE="sound")
    assert {item["vocabulary"] for item in by_sound} != {"mine"}
    assert not any("evidence" in item for item in by_sound)
