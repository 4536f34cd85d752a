"""What players show for a song before and after a write: the genre is new, and nothing else is missing.

Each file has its title, artist or ReplayGain in a tag that is not the container's own, and is looked at by FFmpeg,
TagLib and MPD, which each show one tag of several.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.errors import TagError
from tests import tagging
from tests.corpus_players import CASES, PlayerCase
from tests.program import Program

KEPT = ("title", "artist", "album", "date", "replaygain_track_gain", "replaygain_album_gain")
# Of files whose title no player shows, or that have none, each player must show the genre.
READERS = ("ffmpeg", "taglib", "mpd")

Shown = dict[str, dict[str, str]]  # reader -> field -> value


@dataclass(repr=False)
class Looked:
    """What became of one case."""

    before: Shown
    after: Shown
    read: tuple[str, ...]
    reread: tuple[str, ...]
    refusal: TagError | None
    undone: bool


@pytest.fixture(scope="module")
def looked() -> Iterator[dict[str, Looked]]:
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        folders = [Path(name) / part for part in ("before", "after", "mpd-before", "mpd-after")]
        for folder in folders:
            folder.mkdir()
        results = {case.name: _write(case, *folders[:2]) for case in CASES}
        shown = [_show(folder, work) for folder, work in zip(folders[:2], folders[2:], strict=True)]
        yield {
            case.name: Looked(shown[0][case.name + case.suffix], shown[1][case.name + case.suffix], *results[case.name])
            for case in CASES
        }


def _write(
    case: PlayerCase, before: Path, after: Path
) -> tuple[tuple[str, ...], tuple[str, ...], TagError | None, bool]:
    path = before / (case.name + case.suffix)
    path.write_bytes(case.build())
    copy = Path(shutil.copy(path, after))
    read = tags.read(str(copy)).genres
    try:
        plan = tags.plan_write(str(copy), ["Jazz"])
        tags.apply(plan, audio_key=lambda _: "same", expected_key="same")
    except TagError as error:
        return read, read, error, copy.read_bytes() == path.read_bytes()
    undone = Path(shutil.copy(copy, before.parent / f"undone{case.suffix}"))
    back = tags.plan_restore(str(undone), plan.before.raw, expected=plan.after.raw)
    tags.apply(back, audio_key=lambda _: "same", expected_key="same")
    return read, tags.read(str(copy)).genres, None, undone.read_bytes() == path.read_bytes()


def _show(folder: Path, work: Path) -> dict[str, Shown]:
    by_mpd = tagging.mpd_tags(folder, work)
    by_ffmpeg = tagging.ffmpeg_tags(sorted(folder.iterdir()), work)
    return {
        path.name: {
            "ffmpeg": by_ffmpeg[path],
            "taglib": {key: ";".join(values) for key, values in tagging.taglib_tags(path).items()},
            "mpd": {key: ";".join(values) for key, values in by_mpd.get(path.name, {}).items()},
        }
        for path in folder.iterdir()
    }


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_genre_hides_nothing_that_players_showed(case: PlayerCase, looked: dict[str, Looked]) -> None:
    found = looked[case.name]
    assert found.undone
    assert found.read == case.genres
    if case.refused is not None:
        assert found.refusal is not None
        assert case.refused in str(found.refusal)
        return
    assert found.refusal is None, found.refusal
    assert found.reread == ("Jazz",)
    for reader in READERS:
        before, after = found.before[reader], found.after[reader]
        assert {key: after.get(key) for key in KEPT if key in before} == {k: before[k] for k in KEPT if k in before}
        # A player that showed a title shows the genre beside it, and none shows the former one.
        if ("title" in before or "genre" in before) and reader != case.blind:
            assert set(after["genre"].split(";")) == {"Jazz"}, reader
        assert after.get("genre", "Jazz").split(";")[0] == "Jazz"
    assert any("genre" in found.after[reader] for reader in READERS)
    if case.name.endswith("-plain"):
        assert [found.after[reader].get("genre") for reader in READERS] == ["Jazz"] * 3


def test_the_installed_program_keeps_every_genre_that_players_show(program: Program) -> None:
    folder = program.home / "music"
    folder.mkdir()
    kept = [case for case in CASES if case.genres]
    for case in kept:
        (folder / (case.name + case.suffix)).write_bytes(case.build())
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    results = {Path(result["path"]).name: result for result in program.scan(folder, status=None)}
    assert len(kept) > 40
    assert {name: (result["status"], result["before"]) for name, result in results.items()} == {
        case.name + case.suffix: ("kept", list(case.genres)) for case in kept
    }
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
