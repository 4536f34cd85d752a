"""Damaged files: a plain error, or a change that can be undone to the byte, and never anything else."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from genrify_tagger import tags
from genrify_tagger.errors import TagError
from genrify_tagger.tags.patched_file import PatchedFile
from tests.media import KINDS, clip, make
from tests.test_tags_id3 import GENRE, PIC, TITLE, tag, texts, unsynchronised, v1

# A night's run: GENRIFY_FUZZ_ROUNDS=20000.
ROUNDS = int(os.environ.get("GENRIFY_FUZZ_ROUNDS", "60"))
SIZES = (b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\xff\0\xff\0")


def damage(data: bytes, dice: random.Random) -> bytes:
    """Damage a file near its ends, where the tags are."""
    out = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5))):
        distance = int(dice.expovariate(1 / 300))
        at = max(0, min(len(out) - 1, distance if dice.random() < 0.5 else len(out) - 1 - distance))
        kind = dice.random()
        if kind < 0.4:
            out[at] = dice.randrange(256)
        elif kind < 0.6:
            out[at : at + 4] = dice.choice(SIZES)
        elif kind < 0.75:
            del out[at : at + dice.choice((1, 2, 8, 100))]
        elif kind < 0.9:
            out[at:at] = dice.randbytes(dice.choice((1, 4, 50)))
        else:
            del out[at:]
        out = out or bytearray(b"x")
    return bytes(out)


def changed(path: Path, plan: tags.WritePlan) -> bytes:
    with open(path, "rb") as file:
        return b"".join(PatchedFile(file, plan.edits).blocks())


def check_damaged(data: bytes, path: Path, after: Path) -> bool:
    path.write_bytes(data)
    try:
        plan = tags.plan_write(str(path), ["Hip-Hop", "Jazz"])
    except TagError as error:
        assert error.path == str(path)
        return False
    after.write_bytes(changed(path, plan))
    assert "; ".join(tags.read(str(after)).genres) == "Hip-Hop; Jazz"
    back = tags.plan_restore(str(after), plan.before.raw, expected=plan.after.raw)
    assert changed(after, back) == data
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(tmp_path: Path, kind: str) -> None:
    whole = make(kind, tmp_path, genre="Oldies", source=clip(3))
    data = whole.read_bytes()
    dice = random.Random(kind)
    path, after = tmp_path / ("damaged" + whole.suffix), tmp_path / ("after" + whole.suffix)
    done = [check_damaged(damage(data, dice), path, after) for _ in range(ROUNDS)]
    assert any(done)


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("unsync", [False, True])
def test_damaged_id3_tags(tmp_path: Path, version: int, unsync: bool) -> None:
    audio = make("mp3-bare", tmp_path).read_bytes()[:3000]
    genre = (GENRE[version], b"Oldies")
    body = texts(version, TITLE[version], genre) + PIC[version][:99] + bytes(30)
    front = tag(version, unsynchronised(body) if unsync else body, 0x80 if unsync else 0)
    dice = random.Random(version)
    path, after = tmp_path / "damaged.mp3", tmp_path / "after.mp3"
    done = [check_damaged(damage(front + audio + v1(17), dice), path, after) for _ in range(ROUNDS * 3)]
    assert any(done)
