"""A copy of a song in another codec, bandwidth or loudness keeps its genre or becomes unsure; it gets no other one.

The large tests need the data that the recipe trains on (`models/recipe/README.md`), beside the repository or where
GENRIFY_TEST_SHARED says.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests import media
from tests.program import Program

SHARED = Path(os.environ.get("GENRIFY_TEST_SHARED", Path(__file__).parent.parent.parent / "shared"))
MOST_TURNED = 0.02
BATCH = 40  # songs whose copies are on the disk at once
# copy -> suffix, and arguments of FFmpeg
COPIES: dict[str, tuple[str, tuple[str, ...]]] = {
    "mp3 at 24 kbit/s": (".mp3", ("-c:a", "libmp3lame", "-b:a", "24k")),
    "opus at 24 kbit/s": (".opus", ("-c:a", "libopus", "-b:a", "24k")),
    "aac at 32 kbit/s": (".m4a", ("-c:a", "aac", "-b:a", "32k")),
    "vorbis at its worst": (".ogg", ("-c:a", "libvorbis", "-q:a", "-1")),
    "wma at 32 kbit/s": (".wma", ("-c:a", "wmav2", "-b:a", "32k")),
    "mono at 11 kHz": (".flac", ("-ac", "1", "-ar", "11025")),
    "mono at 8 kHz": (".wav", ("-ac", "1", "-ar", "8000")),
    "low-passed at 3.5 kHz": (".flac", ("-af", "lowpass=f=3500,lowpass=f=3500")),
    "low-passed at 6 kHz": (".flac", ("-af", "lowpass=f=6000,lowpass=f=6000")),
    "8 dB louder, clipped": (".wav", ("-af", "volume=8dB", "-c:a", "pcm_s16le")),
    "12 dB quieter": (".wav", ("-af", "volume=-12dB", "-c:a", "pcm_s16le")),
}


def decided(program: Program, folder: Path) -> dict[Path, list[str]]:
    """Return the genres that a scan would write into each file of a folder."""
    return {Path(one["path"]): one["genres"] for one in program.scan(folder, "--dry-run", "--existing", "replace")}


def turned_copies(program: Program, folder: Path, songs: Iterable[Path]) -> tuple[int, Counter[str]]:
    """Return how many copies were made of songs that get a genre, and how many of each kind got another one."""
    originals = folder / "originals"
    originals.mkdir(parents=True)
    for number, song in enumerate(songs):
        shutil.copyfile(song, originals / f"{number}{song.suffix}")
    genres = {path: found for path, found in decided(program, originals).items() if found}
    (folder / "copies").mkdir()
    made = {}
    for path in genres:
        for number, (suffix, arguments) in enumerate(COPIES.values()):
            copy = folder / "copies" / f"{path.stem}-{number}{suffix}"
            media.ffmpeg("-i", path, "-map", "0:a", "-map_metadata", "-1", *arguments, copy)
            made[copy] = path
    names, turned = list(COPIES), Counter[str]()
    for copy, found in decided(program, folder / "copies").items():
        turned[names[int(copy.stem.partition("-")[2])]] += bool(found) and found != genres[made[copy]]
    return len(made), turned


def spread_out(number: int) -> list[Path]:
    """Return so many of the clips that the tree was trained on, evenly from all sources; skip without the data."""
    data = SHARED / "data"
    clips = sorted(path for folder in ("gtzan", "allmusic/audio", "world") for path in (data / folder).rglob("*.opus"))
    if not clips:
        pytest.skip(f"no labelled music in {data}")
    return clips[:: max(1, len(clips) // number)][:number]


def test_copies_of_the_clips_at_hand(program, tmp_path):
    made, turned = turned_copies(program, tmp_path, [media.JAZZ, media.CLASSICAL])
    assert made >= len(COPIES)
    assert +turned == Counter()


@pytest.mark.parametrize("number", [24, pytest.param(600, marks=[pytest.mark.torture, pytest.mark.timeout(7200)])])
def test_copies_of_clips_from_all_sources(program, tmp_path, number):
    made, turned, songs = 0, Counter[str](), spread_out(number)
    for start in range(0, len(songs), BATCH):
        more, of_these = turned_copies(program, tmp_path / str(start), songs[start : start + BATCH])
        made, turned = made + more, turned + of_these
        shutil.rmtree(tmp_path / str(start))
    print(f"{made} copies of songs with a genre; got another one: {dict(+turned) or 'none'}")
    assert made >= number  # of eleven copies of each song that gets a genre
    assert turned.total() <= MOST_TURNED * made, +turned
